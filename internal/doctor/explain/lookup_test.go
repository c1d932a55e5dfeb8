package explain_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ivtd/ivt/internal/doctor/explain"
	"github.com/ivtd/ivt/internal/term"
	"github.com/ivtd/ivt/irq"
)

func TestLookup(t *testing.T) {
	const connected, still = "ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED", "ERROR_INTERRUPT_STILL_CONNECTED"
	for query, want := range map[string][]string{
		"763":                                {connected},
		" 763 ":                              {connected},
		"0x2FB":                              {connected},
		"0x2fb":                              {connected},
		"2FBh":                               {connected},
		"0x800702FB":                         {connected},
		"-2147024133":                        {connected},
		"2147943163":                         {connected},
		"0x127":                              {connected},
		"0x00000127":                         {connected},
		"0x10000127":                         {connected},
		"0x128":                              {still},
		connected:                            {connected},
		"interrupt_vector_already_connected": {connected},
		"ErrAlreadyConnected":                {connected},
		"irq.ErrAlreadyConnected":            {connected},
		"alreadyconnected":                   {connected},
		"STATUS_INTERRUPT_VECTOR_ALREADY_CONNECTED":             {connected},
		"The specified interrupt vector was already connected.": {connected},
		"the specified interrupt vector was already connected":  {connected},
		"Win32 error 763":                       {connected},
		"failed with error code: 763 (0x2FB)":   {connected},
		"connect soft:demo/3: 763 " + connected: {connected},
		"Exception from HRESULT: 0x800702FB":    {connected},
		"[764] " + still:                        {still},
		"5":                                     {"ERROR_ACCESS_DENIED", "EIO"},
		"50":                                    {"ERROR_NOT_SUPPORTED"},
		"16":                                    {"EBUSY"},
		"-16":                                   {"EBUSY"},
		"ebusy":                                 {"EBUSY"},
		"ENOTSUP":                               {"EOPNOTSUPP"},
		"Device or resource busy":               {"EBUSY"},
		"open /dev/vfio/12: Device or resource busy": {"EBUSY"},
		"probe failed with error -28":                {"ENOSPC"},
		"0x10":                                       nil, // an errno is not written in hexadecimal
		"1119":                                       {"ERROR_IRQ_BUSY"},
		"0xC000016C":                                 {"ERROR_IRQ_BUSY"},
		"585":                                        {"ERROR_BIOS_FAILED_TO_CONNECT_INTERRUPT"},
		"2404":                                       {"ERROR_DEVICE_IN_USE"},
		"1617":                                       {"ERROR_DEVICE_REMOVED"},
		"673":                                        {"ERROR_PNP_IRQ_TRANSLATION_FAILED"},
		"15327":                                      {"ERROR_GPIO_INTERRUPT_ALREADY_UNMASKED"},
		"0x8000A127":                                 {"ERROR_GPIO_INTERRUPT_ALREADY_UNMASKED"},
		"0xC000000D":                                 {"ERROR_INVALID_PARAMETER"},
		"STATUS_NOT_FOUND":                           {"ERROR_NO_SUCH_DEVICE"},
		"0xC0000010":                                 {"STATUS_INVALID_DEVICE_REQUEST"},
		"736":                                        nil,
		"":                                           nil,
		"0x":                                         nil,
		"99999999999999999999":                       nil,
		"-9223372036854775808":                       nil,
		"there are 763 sheep":                        nil,
	} {
		t.Run(query, func(t *testing.T) {
			var got []string
			for _, m := range explain.Lookup(query) {
				got = append(got, m.Code.Name)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSuccessSeverityIsSaid(t *testing.T) {
	for _, query := range []string{"0x127", "STATUS_INTERRUPT_VECTOR_ALREADY_CONNECTED", "0x128"} {
		if m := explain.Lookup(query); len(m) == 0 || !strings.Contains(m[0].Note, "success severity") {
			t.Errorf("%s: %+v", query, m)
		}
	}
}

func TestSuggestTheNearest(t *testing.T) {
	for query, want := range map[string]string{
		"736":                               "763",
		"EBUSSY":                            "EBUSY",
		"ERROR_INTERUPT_STILL_CONECTED":     "ERROR_INTERRUPT_STILL_CONNECTED",
		"flag-mismatch":                     "flags-mismatch",
		"ErrAlreadyConected":                "ErrAlreadyConnected",
		"interrupt_vector_alredy_connected": "ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED",
	} {
		_, err := explain.Ask(query)
		var unknown *explain.UnknownError
		if !errors.As(err, &unknown) || len(unknown.Nearest) == 0 || unknown.Nearest[0] != want {
			t.Errorf("%s: %v", query, err)
		}
	}
	if near := explain.Suggest("no resemblance to anything at all"); near != nil {
		t.Errorf("%q", near)
	}
}

// The catalogue and package irq say the same.
func TestEveryCodeOfIvtIsExplained(t *testing.T) {
	for _, code := range irq.Codes() {
		m := explain.Lookup(fmt.Sprint(uint32(code)))
		if len(m) == 0 {
			t.Errorf("%d is not explained", code)
			continue
		}
		c := m[0].Code
		if c.Name != code.Name() || c.Go == "" || c.Exit == 0 {
			t.Errorf("%d: %s, Go %q, exit %d; package irq says %s", code, c.Name, c.Go, c.Exit, code.Name())
		}
		if len(c.Details) == 0 || len(c.Arises) == 0 || len(c.Reading) == 0 || len(c.Ignored) == 0 || len(c.Resolve) == 0 || len(c.Related) == 0 {
			t.Errorf("%d: a section is missing", code)
		}
	}
}

func TestRelatedCodesAreExplained(t *testing.T) {
	for _, c := range explain.Codes() {
		for _, name := range c.Related {
			if m := explain.Lookup(name); len(m) == 0 || m[0].Code.Name != name {
				t.Errorf("%s is related to %s, which is not explained", c.Name, name)
			}
		}
	}
}

func TestRefusalsHereAreShown(t *testing.T) {
	opts := explain.Options{Refused: func(code uint32) ([]explain.Refusal, error) {
		if code != 763 {
			return nil, nil
		}
		return []explain.Refusal{{Time: time.Date(2026, 11, 23, 7, 45, 0, 0, time.Local), Operation: "connect", Vector: "soft:demo/3", Caller: "pid 4712 (\x1b[2Jb)", Holder: "pid 4711 (a)"}}, nil
	}}
	var b strings.Builder
	if err := explain.Explain(term.Output{Writer: &b, Width: 80}, "763", nil, opts); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Refused here lately", "2026-11-23 07:45:00 connect soft:demo/3 by pid 4712", "held by pid 4711 (a)"} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("a stranger's escape reached the terminal")
	}
}
