package api

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ivtd/ivt/irq"
	"github.com/ivtd/ivt/varlink"
)

var description = varlink.MustParseInterface(Text)

// shapes are the Go types of every method's parameters and reply. Connect and ConnectAny answer with the same.
var shapes = map[string][2]any{
	"Connect": {ConnectIn{}, ConnectOut{}}, "ConnectAny": {ConnectAnyIn{}, ConnectOut{}}, "Deliveries": {DeliveriesIn{}, DeliveriesOut{}},
	"Resume": {ResumeIn{}, ResumeOut{}}, "Disconnect": {ConnectionIn{}, nil}, "SetSuccessor": {SetSuccessorIn{}, nil},
	"Mask": {MaskIn{}, nil}, "Unmask": {MaskIn{}, nil}, "Doorbell": {VectorIn{}, DoorbellOut{}}, "Raise": {RaiseIn{}, nil},
	"Revoke": {RevokeIn{}, nil}, "Detach": {DetachIn{}, nil}, "Lookup": {VectorIn{}, LookupOut{}}, "List": {ListIn{}, ListOut{}},
	"Watch": {WatchIn{}, WatchOut{}}, "History": {HistoryIn{}, HistoryOut{}}, "Status": {nil, StatusOut{}},
}

// TestShapes: the Go types and the description say the same, member for member: what is full is accepted
// and uses every member, what is empty is accepted too (it has all that is required).
func TestShapes(t *testing.T) {
	for _, m := range description.Members {
		if m.Kind == varlink.MethodMember && shapes[m.Name] == [2]any{} {
			t.Errorf("method %s has no Go type here", m.Name)
		}
	}
	for method, pair := range shapes {
		m := description.Method(method)
		if m == nil {
			t.Errorf("the description has no method %s", method)
			continue
		}
		compare(t, method+" call", m.In, pair[0], func(j json.RawMessage) error { return description.CheckCall(method, j) })
		compare(t, method+" reply", m.Out, pair[1], func(j json.RawMessage) error { return description.CheckReply(method, j) })
	}
	for _, code := range irq.Codes() {
		m := description.Error(code.Short())
		if m == nil {
			t.Errorf("the description has no error %s", code.Short())
			continue
		}
		compare(t, code.Short(), m.Type, Refusal{}, func(j json.RawMessage) error { return description.CheckError(ErrorName(code), j) })
	}
}

// connectOnly are members that a reply of Connect has and one of ConnectAny never.
var connectOnly = []string{"deviceFileDescriptor", "containerFileDescriptor"}

func compare(t *testing.T, what string, typ *varlink.Type, shape any, check func(json.RawMessage) error) {
	t.Helper()
	if shape == nil {
		if len(typ.Fields) > 0 {
			t.Errorf("%s: the description has members, Go has none", what)
		}
		return
	}
	value := reflect.New(reflect.TypeOf(shape)).Elem()
	fill(value)
	full, err := json.Marshal(value.Interface())
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(full, &members); err != nil {
		t.Fatal(err)
	}
	if what == "ConnectAny reply" {
		for _, name := range connectOnly {
			delete(members, name)
		}
		full, _ = json.Marshal(members)
	}
	if err := check(full); err != nil {
		t.Errorf("%s: full: %v\n%s", what, err, full)
	}
	for _, f := range typ.Fields {
		if _, ok := members[f.Name]; !ok {
			t.Errorf("%s: Go never sends %s", what, f.Name)
		}
	}
}

// enums are values for the types whose text the description restricts.
var enums = map[reflect.Type]string{
	reflect.TypeFor[irq.HolderKind](): "kernel", reflect.TypeFor[irq.Access](): "device", reflect.TypeFor[irq.Trigger](): "level",
	reflect.TypeFor[irq.State](): "orphaned", reflect.TypeFor[irq.Delivery](): "stream", reflect.TypeFor[irq.Reason](): "held",
	reflect.TypeFor[irq.EventKind](): "refused",
}

// fill sets every field to something.
func fill(v reflect.Value) {
	if text, ok := enums[v.Type()]; ok {
		v.SetString(text)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 2).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
			if v.Type().Field(i).Name == "Protection" {
				v.Field(i).SetString("kernel")
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), reflect.ValueOf(1))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	}
}

// TestEnums: the words of package irq and those of the description are the same.
func TestEnums(t *testing.T) {
	words := func(typ *varlink.Type) (all []string) {
		for _, v := range typ.Values {
			all = append(all, v.Name)
		}
		slices.Sort(all)
		return all
	}
	text := func(list ...any) (all []string) {
		for _, w := range list {
			all = append(all, reflect.ValueOf(w).String())
		}
		slices.Sort(all)
		return all
	}
	for name, want := range map[string][]string{
		"Trigger": text(irq.TriggerEdge, irq.TriggerLevel), "Access": text(irq.AccessIRQ, irq.AccessDevice),
		"State": text(irq.StateFree, irq.StateConnected, irq.StateDraining, irq.StateOrphaned, irq.StateUnavailable),
		"Reason": text(irq.ReasonHeld, irq.ReasonKernelHolds, irq.ReasonForeignHolds, irq.ReasonDraining, irq.ReasonOrphaned, irq.ReasonModeConflict,
			irq.ReasonDeviceGranted, irq.ReasonSharerRefuses, irq.ReasonTriggerDiffers, irq.ReasonNotShareable, irq.ReasonNotMaskable, irq.ReasonMalformed,
			irq.ReasonOutOfRange, irq.ReasonNoSuchSource, irq.ReasonSourceGone, irq.ReasonClosed, irq.ReasonRevoked, irq.ReasonStaleGeneration,
			irq.ReasonDenied, irq.ReasonQuota, irq.ReasonNotEnoughVectors, irq.ReasonHostVectorsFull, irq.ReasonTimeout, irq.ReasonCancelled),
	} {
		if diff := cmp.Diff(want, words(description.Type(name).Type)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	kinds := text(irq.EventAdded, irq.EventRemoved, irq.EventConnected, irq.EventDisconnected, irq.EventRefused, irq.EventOrphaned, irq.EventResumed,
		irq.EventRevoked, irq.EventParked, irq.EventMasked, irq.EventUnmasked, irq.EventStorm, irq.EventStalled, irq.EventLost, irq.EventRang, irq.EventChanged)
	for _, f := range description.Type("Event").Type.Fields {
		if f.Name == "kind" {
			if diff := cmp.Diff(kinds, words(f.Type)); diff != "" {
				t.Errorf("Event.kind: %s", diff)
			}
		}
	}
}

// TestFillRejects: the check above would find a member that is wrong.
func TestFillRejects(t *testing.T) {
	err := description.CheckReply("Status", json.RawMessage(`{"nonsense":1}`))
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
}
