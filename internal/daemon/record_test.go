package daemon

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ivtd/ivt/internal/keeper"
	"github.com/ivtd/ivt/irq"
)

// fill gives every field another value than its zero one, so that none is forgotten.
func fill(v reflect.Value, n *int) {
	*n++
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(int64(*n), int64(*n))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString("text " + string(rune('a'+*n%20))) // some are the same
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(uint64(*n))
	default:
		v.SetInt(int64(*n))
	}
}

// Left is of the moment, and version of the head.
var sameRecord = cmp.Options{cmpopts.IgnoreUnexported(keptLink{}), cmpopts.IgnoreFields(irq.Holder{}, "Left")}

func TestRecordsComeBack(t *testing.T) {
	var full, empty keptLink
	fill(reflect.ValueOf(&full).Elem(), new(int))
	extremes := keptLink{Record: irq.Record{Generation: 1<<64 - 1, Grace: -1, Holder: irq.Holder{Label: "\x00\xff{", StartTime: 1 << 63}}}
	for _, r := range []keptLink{full, empty, extremes} {
		var back keptLink
		if err := back.unpack(r.pack(), map[string]string{}); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, back, sameRecord); d != "" {
			t.Error(d)
		}
	}
	b := full.pack()
	for n := range b {
		if new(keptLink).unpack(b[:n], nil) == nil {
			t.Errorf("%d bytes of %d are a record", n, len(b))
		}
	}
	if new(keptLink).unpack(append(b, 0), nil) == nil || new(keptLink).unpack([]byte{77, 0}, nil) == nil {
		t.Error("what is no record is one")
	}
}

// TestRule14RecordsOfFormerVersions: until now they were JSON, and are understood.
func TestRule14RecordsOfFormerVersions(t *testing.T) {
	var r keptLink
	fill(reflect.ValueOf(&r).Elem(), new(int))
	for i := range r.Vectors {
		r.Vectors[i].Vector = irq.Vector{Source: "soft:demo", Index: i}
	}
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]*keeper.Entry{"c1/7/0": {Value: text[:10]}, "c1/7/1": {Value: text[10:]}}
	for _, head := range []string{`{"whole":` + string(text) + `}`, `{"version":7,"parts":2}`} {
		var got keptLink
		keys, err := got.readKept("c1", []byte(head), parts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, got, sameRecord); d != "" {
			t.Error(d)
		}
		if len(keys) != int(got.version)/3 {
			t.Errorf("version %d, parts %q", got.version, keys)
		}
	}
}

func TestTurnsComeBack(t *testing.T) {
	var w turnKept
	fill(reflect.ValueOf(&w).Elem(), new(int))
	text, err := json.Marshal(turnKept{Vectors: []irq.Vector{}})
	if err != nil {
		t.Fatal(err)
	}
	var back, former turnKept
	if err := errors.Join(back.unpack(w.pack()), former.unpack(text)); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(w, back); d != "" {
		t.Error(d)
	}
	if new(turnKept).unpack(nil) == nil || new(turnKept).unpack(w.pack()[:9]) == nil {
		t.Error("what is no turn is one")
	}
}

// FuzzRecord: whatever stands in the memory does no harm, and what is a record is written as it was read.
func FuzzRecord(f *testing.F) {
	var full keptLink
	fill(reflect.ValueOf(&full).Elem(), new(int))
	f.Add(full.pack())
	f.Add(head{Version: 3, Parts: 2}.pack())
	f.Add([]byte(`{"whole":{"connection":"c1"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		readHead(b)
		var r, again keptLink
		if r.unpack(b, nil) != nil || b[0] == recordJSON {
			return
		}
		if err := again.unpack(r.pack(), nil); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(r, again, sameRecord); d != "" {
			t.Error(d)
		}
	})
}
