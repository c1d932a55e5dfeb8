package source

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ivtd/ivt/irq"
)

// settings reads Config.Settings. The first thing wrong is kept, and told at the end by err.
type settings struct {
	name   string
	values map[string]any
	known  []string
	first  error
}

// read starts with the keys that every [[device]] may have; match is the policy's own.
func (c Config) read() *settings {
	return &settings{name: c.Name, values: c.Settings, known: []string{"match", "name"}}
}

func (s *settings) wrong(key, format string, args ...any) {
	if s.first == nil {
		s.first = &irq.Error{Code: irq.ErrInvalidParameter, Operation: "open", Name: s.name, Reason: irq.ReasonMalformed,
			Detail: fmt.Sprintf("setting %q ", key) + fmt.Sprintf(format, args...), Remedies: []string{"correct the policy, see ivtd.toml(5)"}}
	}
}

func (s *settings) value(key string) (any, bool) {
	s.known = append(s.known, key)
	v, ok := s.values[key]
	return v, ok
}

// int reads a whole number from least to most, or gives missing.
func (s *settings) int(key string, missing, least, most int) int {
	v, ok := s.value(key)
	if !ok {
		return missing
	}
	n := int64(math.MinInt64)
	switch v := v.(type) {
	case int:
		n = int64(v)
	case int64:
		n = v
	}
	if n < int64(least) || n > int64(most) {
		s.wrong(key, "is %v where a whole number from %d to %d is needed", v, least, most)
		return missing
	}
	return int(n)
}

// bool reads true or false, or gives missing.
func (s *settings) bool(key string, missing bool) bool {
	v, ok := s.value(key)
	if !ok {
		return missing
	}
	b, ok := v.(bool)
	if !ok {
		s.wrong(key, "is %v where true or false is needed", v)
	}
	return b
}

// duration reads a time from 0 to most, as a time.Duration or a text such as "5ms"; 0 if missing.
func (s *settings) duration(key string, most time.Duration) time.Duration {
	v, ok := s.value(key)
	if !ok {
		return 0
	}
	d, ok := v.(time.Duration)
	if text, isText := v.(string); isText {
		parsed, err := time.ParseDuration(text)
		d, ok = parsed, err == nil
	}
	if !ok || d < 0 || d > most {
		s.wrong(key, "is %v where a time from 0s to %v is needed", v, most)
		return 0
	}
	return d
}

// word reads one of the words; the first one if missing.
func (s *settings) word(key string, words ...string) string {
	v, ok := s.value(key)
	if !ok {
		return words[0]
	}
	w, _ := v.(string)
	if !slices.Contains(words, w) {
		s.wrong(key, "is %v where one of %s is needed", v, strings.Join(words, ", "))
		return words[0]
	}
	return w
}

// err returns the first thing wrong, or that there is a key which nobody has read.
func (s *settings) err() error {
	var unknown []string
	for key := range s.values {
		if !slices.Contains(s.known, key) {
			unknown = append(unknown, key)
		}
	}
	if slices.Sort(unknown); unknown != nil {
		s.wrong(unknown[0], "is unknown; there are %s", strings.Join(s.known, ", "))
	}
	return s.first
}
