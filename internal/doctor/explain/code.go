package explain

import (
	"bytes"
	_ "embed"
	"fmt"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// A Code is what codes.toml says of one error code.
type Code struct {
	Kind      string   `toml:"kind" json:"kind"`     // "win32", "errno" or "ntstatus"
	Number    uint32   `toml:"number" json:"number"` // in the numbers of that kind
	Name      string   `toml:"name" json:"name"`     // ERROR_…, EBUSY, STATUS_…
	Aliases   []string `toml:"aliases" json:"aliases,omitempty"`
	Go        string   `toml:"go" json:"go,omitempty"`       // its name in package irq; "" if ivt does not return it
	Errno     string   `toml:"errno" json:"errno,omitempty"` // that the Go error also matches
	Exit      int      `toml:"exit" json:"exit,omitempty"`   // exit status of ivt
	Text      string   `toml:"text" json:"text"`             // in the words of the system that defines it
	Twins     []Twin   `toml:"twins" json:"twins,omitempty"`
	Meaning   string   `toml:"meaning" json:"meaning"`
	Details   []string `toml:"details" json:"details,omitempty"`
	Arises    []string `toml:"arises" json:"arises,omitempty"`   // when
	Reading   []string `toml:"reading" json:"reading,omitempty"` // how a developer should take it
	Ignored   []string `toml:"ignored" json:"ignored,omitempty"` // what follows if it is ignored
	Resolve   []Remedy `toml:"resolve" json:"resolve,omitempty"`
	Elsewhere []string `toml:"elsewhere" json:"elsewhere,omitempty"` // on other systems
	Related   []string `toml:"related" json:"related,omitempty"`     // names of other codes
}

// A Twin is an NTSTATUS value with the same meaning as a Windows code.
type Twin struct {
	Name  string `toml:"name" json:"name"`
	Value uint32 `toml:"value" json:"value"`
	Note  string `toml:"note" json:"note,omitempty"`
}

// Severity names the class of an NTSTATUS value, its two highest bits: "success", "informational", "warning" or "error".
func (t Twin) Severity() string {
	return [...]string{"success", "informational", "warning", "error"}[t.Value>>30]
}

// HRESULT returns the Windows code as HRESULT_FROM_WIN32 makes it, 0x800702FB; 0 for other kinds.
func (c *Code) HRESULT() uint32 {
	if c.Kind != "win32" {
		return 0
	}
	return 0x80070000 | c.Number&0xffff
}

//go:embed codes.toml
var codesTOML []byte

var loadCodes = sync.OnceValue(func() []*Code {
	var file struct {
		Code []*Code `toml:"code"`
	}
	mustDecode("codes.toml", codesTOML, &file)
	return file.Code
})

// Codes returns all codes, those of ivt first, in the order of the documentation. They must not be changed.
func Codes() []*Code { return loadCodes() }

// mustDecode reads an embedded catalogue, strictly. It can only fail if the build is broken, and a test would have said so.
func mustDecode(name string, data []byte, into any) {
	d := toml.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		panic(fmt.Sprintf("%s: %v", name, err))
	}
}
