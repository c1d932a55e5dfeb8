package policy

import (
	"maps"
	"slices"
	"strings"

	"github.com/ivtd/ivt/source"
)

// A Device is one [[device]]: which devices ivtd takes, and how.
type Device struct {
	Rule     Place
	Match    map[string]Glob // attribute → pattern; all must fit
	Settings map[string]any  // for source.Config
}

// A Soft is one [soft.NAME], a group of doorbells.
type Soft struct {
	Name     string // "soft:NAME"
	Rule     Place
	Settings map[string]any
}

// A Place is where something stands in the policy; File is empty for what is built in.
type Place struct {
	File string
	Line int
}

// matchKeys are the stable attributes that a device may be chosen by.
var matchKeys = []string{"vendor", "device", "path", "class", "driver", "name", "chip", "label"}

// Matches reports whether the device that was found has every attribute that d asks for. Hexadecimal ids
// match with and without 0x, in either case.
func (d *Device) Matches(f source.Found) bool {
	for key, glob := range d.Match {
		value, ok := f.Attrs[key]
		switch key {
		case "path":
			value, ok = f.Path, true
		case "name":
			if glob.Match(f.Name) {
				continue
			}
		}
		if !ok || !glob.Match(value) && !Glob(hexID(string(glob))).Match(hexID(value)) {
			return false
		}
	}
	return len(d.Match) > 0
}

func hexID(s string) string { return strings.TrimPrefix(strings.ToLower(s), "0x") }

var (
	interruptKinds = []string{"msix", "msi", "intx", "auto"}
	edgeKinds      = []string{"rising", "falling", "both"}
	biasKinds      = []string{"pull-up", "pull-down", "disabled"}
	triggerKinds   = []string{"edge", "level"}
	openKinds      = []string{"auto", "group", "cdev"}
)

func compileDevice(t deviceTable, bad func(key, text string)) Device {
	d := Device{Match: map[string]Glob{}, Settings: map[string]any{}}
	if len(t.Match) == 0 {
		bad("", `a [[device]] needs match = { … } with at least one of `+strings.Join(matchKeys, ", "))
	}
	for _, key := range slices.Sorted(maps.Keys(t.Match)) {
		glob := Glob(t.Match[key])
		if !slices.Contains(matchKeys, key) {
			bad("match."+key, `unknown attribute "`+printable(key)+`"`+orNearest(key, matchKeys))
		} else if err := glob.check(); err != nil {
			bad("match."+key, err.Error())
		}
		d.Match[key] = glob
	}
	put(d.Settings, "interrupts", oneOf(t.Interrupts, interruptKinds, "interrupts", bad))
	put(d.Settings, "edges", oneOf(t.Edges, edgeKinds, "edges", bad))
	put(d.Settings, "bias", oneOf(t.Bias, biasKinds, "bias", bad))
	put(d.Settings, "trigger", oneOf(t.Trigger, triggerKinds, "trigger", bad))
	put(d.Settings, "active_low", t.ActiveLow)
	put(d.Settings, "shareable", t.Shareable)
	put(d.Settings, "budget", inRange(t.Budget, 1, 4096, "budget", bad))
	put(d.Settings, "ring", inRange(t.Ring, 16, 1024, "ring", bad))
	put(d.Settings, "open", oneOf(t.Open, openKinds, "open", bad))
	put(d.Settings, "unsafe_noiommu", t.NoIOMMU)
	if t.Debounce != nil {
		d.Settings["debounce"] = t.Debounce.parse("debounce", bad)
	}
	return d
}

func compileSoft(name string, t softTable, bad func(key, text string)) Soft {
	s := Soft{Name: "soft:" + name, Settings: map[string]any{}}
	put(s.Settings, "vectors", inRange(t.Vectors, 1, 1<<24, "vectors", bad))
	put(s.Settings, "shareable", t.Shareable)
	put(s.Settings, "trigger", oneOf(t.Trigger, triggerKinds, "trigger", bad))
	return s
}

func put[T any](settings map[string]any, key string, value *T) {
	if value != nil {
		settings[key] = *value
	}
}

func oneOf(value *string, words []string, key string, bad func(key, text string)) *string {
	if value != nil && !slices.Contains(words, *value) {
		bad(key, key+` must be one of `+strings.Join(words, ", ")+orNearest(*value, words))
	}
	return value
}

func orNearest(word string, words []string) string {
	if near := nearest(word, words); near != "" {
		return `; did you mean "` + near + `"?`
	}
	return ""
}
