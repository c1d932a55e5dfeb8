package policy

import (
	"reflect"
	"strings"
)

// schema answers what a key of a policy file is, from the tags of document.

// lookup follows keys from document down. ok is false if the last of them is not known; known are then
// the keys that its table has.
func lookup(keys []string) (t reflect.Type, known []string, ok bool) {
	t = reflect.TypeFor[document]()
	for _, key := range keys {
		t = element(t)
		switch {
		case t.Kind() == reflect.Map:
			t = t.Elem()
		case isTable(t):
			field, found := fieldOf(t, key)
			if !found {
				return nil, keysOf(t), false
			}
			t = field
		default:
			return nil, nil, true // below a value that is not a table: a type mismatch, reported as such
		}
	}
	return t, nil, true
}

// element strips what makes a field optional or a list.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t
}

func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct }

func fieldOf(t reflect.Type, key string) (reflect.Type, bool) {
	for i := range t.NumField() {
		if f := t.Field(i); f.Tag.Get("toml") == key {
			return f.Type, true
		}
	}
	return nil, false
}

func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		keys = append(keys, t.Field(i).Tag.Get("toml"))
	}
	return keys
}

// expected says what a key wants, "a whole number", for a value of another type.
func expected(keys []string) string {
	t, _, ok := lookup(keys)
	if !ok || t == nil {
		return ""
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[duration]():
		return `a duration such as "10s" or "500ms"`
	case t.Kind() == reflect.Int:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text in quotes"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.String:
		return "a list of texts"
	case t.Kind() == reflect.Slice:
		return "written with two brackets, [[" + strings.Join(keys, ".") + "]]"
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.String:
		return `a table of texts such as { vendor = "8086" }`
	}
	return "a table"
}
