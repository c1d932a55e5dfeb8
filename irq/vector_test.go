package irq_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/irq"
	"pgregory.net/rapid"
)

func TestVectorNames(t *testing.T) {
	for _, c := range []struct {
		name   string
		want   irq.Vector
		reason irq.Reason
	}{
		{"soft:demo/3", irq.Vector{Source: "soft:demo", Index: 3}, ""},
		{"pci:0000:3b:00.0/msix/2", irq.Vector{Source: "pci:0000:3b:00.0", Type: "msix", Index: 2}, ""},
		{"irq:36", irq.Vector{Source: "irq", Index: 36}, ""},
		{"uio:uio0/0", irq.Vector{Source: "uio:uio0"}, ""},
		{"gpio:gpiochip0/16777215", irq.Vector{Source: "gpio:gpiochip0", Index: irq.MaxIndex}, ""},
		{"", irq.Vector{}, irq.ReasonMalformed},
		{"/", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/", irq.Vector{}, irq.ReasonMalformed},
		{"soft:/3", irq.Vector{}, irq.ReasonMalformed},
		{":demo/3", irq.Vector{}, irq.ReasonMalformed},
		{"demo/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo//3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/msix/x/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/MSIX/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/03", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/-1", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/+1", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/ 1", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/1 ", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/0x1", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/٣", irq.Vector{}, irq.ReasonMalformed},
		{"soft:démo/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo\x00/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:\x1b[31mdemo/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo\n/3", irq.Vector{}, irq.ReasonMalformed},
		{"Soft:demo/3", irq.Vector{}, irq.ReasonMalformed},
		{"irq:", irq.Vector{}, irq.ReasonMalformed},
		{"irq:x", irq.Vector{}, irq.ReasonMalformed},
		{"irq:36/0", irq.Vector{}, irq.ReasonMalformed},
		{"irq:16777216", irq.Vector{}, irq.ReasonOutOfRange},
		{"soft:demo/16777216", irq.Vector{}, irq.ReasonOutOfRange},
		{"soft:demo/18446744073709551616", irq.Vector{}, irq.ReasonOutOfRange},
		{"soft:" + strings.Repeat("x", irq.MaxName) + "/3", irq.Vector{}, irq.ReasonMalformed},
		{"soft:demo/" + strings.Repeat("9", irq.MaxName), irq.Vector{}, irq.ReasonMalformed},
		{strings.Repeat("a", 1<<20), irq.Vector{}, irq.ReasonMalformed},
	} {
		v, err := irq.ParseVector(c.name)
		if c.reason != "" {
			if e := refused(t, err, irq.ErrInvalidParameter, c.reason); len(e.Error()) > 1024 || strings.ContainsAny(e.Error(), "\x00\x1b\n") {
				t.Errorf("%q is shown as %q", c.name, e)
			}
		}
		if v != c.want {
			t.Errorf("%q is %+v", c.name, v)
		}
	}
}

// Requests that no registry can grant are refused before anything is looked at.
func TestRequestsThatAreMalformed(t *testing.T) {
	v := irq.Vector{Source: "soft:demo"}
	many := make([]irq.Vector, irq.MaxVectors+1)
	for i := range many {
		many[i] = irq.Vector{Source: "soft:demo", Index: i}
	}
	for name, c := range map[string]struct {
		with   func(*irq.Request)
		reason irq.Reason
	}{
		"no vector":              {func(q *irq.Request) {}, irq.ReasonMalformed},
		"too many":               {func(q *irq.Request) { q.Vectors = many }, irq.ReasonMalformed},
		"one twice":              {func(q *irq.Request) { q.Vectors = []irq.Vector{v, {Source: "soft:demo", Index: 1}, v} }, irq.ReasonMalformed},
		"the zero vector":        {func(q *irq.Request) { q.Vectors = []irq.Vector{{}} }, irq.ReasonMalformed},
		"a negative index":       {func(q *irq.Request) { q.Vectors = []irq.Vector{{Source: "soft:demo", Index: -1}} }, irq.ReasonMalformed},
		"an index beyond all":    {func(q *irq.Request) { q.Vectors = []irq.Vector{{Source: "soft:demo", Index: 1 << 40}} }, irq.ReasonMalformed},
		"an index out of range":  {func(q *irq.Request) { q.Vectors = []irq.Vector{{Source: "soft:demo", Index: 16}} }, irq.ReasonOutOfRange},
		"a type it has not":      {func(q *irq.Request) { q.Vectors = []irq.Vector{{Source: "soft:demo", Type: "msi"}} }, irq.ReasonOutOfRange},
		"a hostile source":       {func(q *irq.Request) { q.Vectors = []irq.Vector{{Source: "soft:\x1b]0;x\a"}} }, irq.ReasonMalformed},
		"a hostile type":         {func(q *irq.Request) { q.Vectors = []irq.Vector{{Source: "soft:demo", Type: "a/b"}} }, irq.ReasonMalformed},
		"vectors and any":        {func(q *irq.Request) { q.Vectors, q.Any = []irq.Vector{v}, &irq.Any{Source: "soft:demo", Count: 1} }, irq.ReasonMalformed},
		"none of any":            {func(q *irq.Request) { q.Any = &irq.Any{Source: "soft:demo"} }, irq.ReasonMalformed},
		"too many of any":        {func(q *irq.Request) { q.Any = &irq.Any{Source: "soft:demo", Count: irq.MaxVectors + 1} }, irq.ReasonMalformed},
		"any of a hostile name":  {func(q *irq.Request) { q.Any = &irq.Any{Source: "\u202e", Count: 1} }, irq.ReasonMalformed},
		"any of a type not here": {func(q *irq.Request) { q.Any = &irq.Any{Source: "soft:demo", Type: "msi", Count: 1} }, irq.ReasonOutOfRange},
		"an unknown trigger":     {func(q *irq.Request) { q.Vectors, q.Trigger = []irq.Vector{v}, "both" }, irq.ReasonMalformed},
		"an unknown access":      {func(q *irq.Request) { q.Vectors, q.Access = []irq.Vector{v}, "all" }, irq.ReasonMalformed},
		"a negative grace":       {func(q *irq.Request) { q.Vectors, q.Grace = []irq.Vector{v}, -1 }, irq.ReasonMalformed},
		"no handler":             {func(q *irq.Request) { q.Vectors, q.Handler = []irq.Vector{v}, nil }, irq.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			tb := newTable(t, irq.SourceSpec{})
			_, err := tb.try(c.with)
			if e := refused(t, err, irq.ErrInvalidParameter, c.reason); strings.ContainsAny(e.Error(), "\x1b\a\u202e") {
				t.Errorf("shown as %q", e)
			}
			if s := tb.Stats(); s.Connections != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestSourcesThatAreMalformed(t *testing.T) {
	v := irq.Vector{Source: "soft:demo"}
	for name, spec := range map[string]irq.SourceSpec{
		"no name":              {Groups: []irq.Group{edge(1)}},
		"a hostile name":       {Name: "soft:\n", Groups: []irq.Group{edge(1)}},
		"a long name":          {Name: "soft:" + strings.Repeat("x", 120), Groups: []irq.Group{edge(1 << 20)}},
		"no vectors":           {Name: "soft:demo"},
		"an empty group":       {Name: "soft:demo", Groups: []irq.Group{edge(0)}},
		"a group too large":    {Name: "soft:demo", Groups: []irq.Group{edge(irq.MaxIndex + 2)}},
		"a type twice":         {Name: "soft:demo", Groups: []irq.Group{edge(1), edge(1)}},
		"a malformed type":     {Name: "soft:demo", Groups: []irq.Group{{Type: "a/b", Count: 1}}},
		"an unknown trigger":   {Name: "soft:demo", Groups: []irq.Group{{Count: 1, Trigger: "both"}}},
		"an alias to nothing":  {Name: "soft:demo", Groups: []irq.Group{edge(1)}, Aliases: map[irq.Vector]irq.Vector{{Source: "irq", Index: 1}: {Source: "soft:demo", Index: 1}}},
		"an alias elsewhere":   {Name: "soft:demo", Groups: []irq.Group{edge(1)}, Aliases: map[irq.Vector]irq.Vector{{Source: "irq", Index: 1}: {Source: "soft:other"}}},
		"an alias of its own":  {Name: "soft:demo", Groups: []irq.Group{edge(2)}, Aliases: map[irq.Vector]irq.Vector{{Source: "soft:demo", Index: 1}: v}},
		"a malformed alias":    {Name: "soft:demo", Groups: []irq.Group{edge(1)}, Aliases: map[irq.Vector]irq.Vector{{Source: "irq", Type: "x"}: v}},
		"a name beyond naming": {Name: "soft:" + strings.Repeat("x", 200), Groups: []irq.Group{edge(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			r := irq.New(irq.Config{})
			defer r.Close()
			_, err := r.Attach(spec)
			refused(t, err, irq.ErrInvalidParameter, irq.ReasonMalformed)
		})
	}
	tb := newTable(t, irq.SourceSpec{})
	refused(t, second(tb.Attach(tb.spec)), irq.ErrAlreadyConnected, irq.ReasonHeld)
	for _, v := range []irq.Vector{{}, {Source: "soft:demo", Index: -1}, {Source: "x"}} {
		refused(t, second(tb.Lookup(v)), irq.ErrInvalidParameter, irq.ReasonMalformed)
	}
	refused(t, second(tb.Lookup(irq.Vector{Source: "soft:none"})), irq.ErrNoSuchDevice, irq.ReasonNoSuchSource)
	refused(t, second(tb.Lookup(tb.v(99))), irq.ErrInvalidParameter, irq.ReasonOutOfRange)
}

// Every vector prints as what parses to it, and sorts as it lists.
func TestVectorRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := vectors.Draw(t, "vector")
		back, err := irq.ParseVector(v.String())
		if err != nil || back != v {
			t.Fatalf("%+v prints as %q, which is %+v, %v", v, v, back, err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var read irq.Vector
		if err := json.Unmarshal(b, &read); err != nil || read != v {
			t.Fatalf("%s reads as %+v, %v", b, read, err)
		}
		r := irq.New(irq.Config{})
		defer r.Close()
		if _, err := r.Lookup(v); !errors.Is(err, irq.ErrNoSuchDevice) { // and not malformed
			t.Fatal(err)
		}
		w := vectors.Draw(t, "other")
		if (v.Compare(w) == 0) != (v == w) || v.Compare(w) != -w.Compare(v) {
			t.Fatalf("%v and %v compare as %d", v, w, v.Compare(w))
		}
	})
}

var vectors = rapid.Custom(func(t *rapid.T) irq.Vector {
	index := rapid.IntRange(0, irq.MaxIndex).Draw(t, "index")
	if rapid.Bool().Draw(t, "by number") {
		return irq.Vector{Source: "irq", Index: index}
	}
	return irq.Vector{
		Source: rapid.StringMatching(`[a-z][a-z0-9]{0,7}:[A-Za-z0-9._:@+-]{1,40}`).Draw(t, "source"),
		Type:   rapid.SampledFrom([]string{"", "intx", "msi", "msix"}).Draw(t, "type"), Index: index,
	}
})

func FuzzParseVector(f *testing.F) {
	for _, s := range []string{"soft:demo/3", "pci:0000:3b:00.0/msix/2", "irq:36", "irq:036", "irq/36", "a:b//1", "soft:demo/16777216", "x:\xff/0", "irq:1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := irq.ParseVector(s)
		if err != nil {
			if !errors.Is(err, irq.ErrInvalidParameter) || v != (irq.Vector{}) {
				t.Fatalf("%q: %+v, %v", s, v, err)
			}
			return
		}
		if v.String() != s {
			t.Fatalf("%q prints as %q: one vector has two names", s, v)
		}
	})
}

func FuzzErrorJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"code":763,"vector":"soft:demo/3","conflicts":[{"vector":"irq:3","reason":"held","holders":[{"kind":"process","pid":7,"secondsLeft":3}]}]}`,
		`{"code":5,"rule":{"rule":"deny","file":"x","line":3},"requested":3,"free":0}`, `{"vector":"\u202e"}`, `{"detail":"\u009b31m"}`, `{"conflicts":[{"vector":7}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e irq.Error
		if json.Unmarshal(b, &e) != nil {
			return
		}
		once, err := json.Marshal(&e)
		if err != nil {
			t.Skip(err) // a time beyond the year 9999
		}
		var again irq.Error
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("%s does not read back: %v", once, err)
		}
		if twice, _ := json.Marshal(&again); string(twice) != string(once) {
			t.Fatalf("%s becomes %s", once, twice)
		}
		for _, text := range []string{e.Error(), strings.ReplaceAll(e.Explain(), "\n", ""), string(once)} {
			if irq.Printable(text) != text {
				t.Fatalf("shown to a terminal: %q", text)
			}
		}
		if diff := cmp.Diff(e.Code, again.Code); diff != "" {
			t.Fatal(diff)
		}
	})
}
