package explain

import (
	"strconv"
	"time"
)

// An Incident is one event that the log tells of, in one line or several that belong together.
type Incident struct {
	Message  *Message  `json:"message"`
	Title    string    `json:"title"`
	Severity Severity  `json:"severity"` // of this one: a message can be harmless at boot and not later
	Fields   []Field   `json:"fields,omitempty"`
	Lines    []string  `json:"lines"` // without times and hosts, the first is Message's; at most maxLines
	Stamp    string    `json:"time,omitempty"`
	Uptime   float64   `json:"uptime"` // seconds since boot, -1 if not told
	Origin   Origin    `json:"origin,omitempty"`
	Program  string    `json:"program,omitempty"` // that wrote it, if Origin is Program
	Handlers []Handler `json:"handlers,omitempty"`
	Task     string    `json:"task,omitempty"`   // who ran when it happened, from the stack dump: "modprobe (pid 812)"
	Kernel   string    `json:"kernel,omitempty"` // release, from the stack dump
	Parts    []Part    `json:"parts,omitempty"`  // further lines with something to say

	Mismatch *Mismatch `json:"mismatch,omitempty"` // flags-mismatch: which condition refused, and whose fault
	Verdict  []string  `json:"verdict,omitempty"`  // what follows from the values, in sentences
}

// A Part is a line that continues an incident.
type Part struct {
	ID     string  `json:"id"`
	Fields []Field `json:"fields,omitempty"`
}

// A Handler is one function on a line that was reported.
type Handler struct {
	Function     string `json:"function"`
	Module       string `json:"module,omitempty"`
	Thread       string `json:"thread,omitempty"`
	ThreadModule string `json:"threadModule,omitempty"`
}

// String returns "usb_hcd_irq [usbcore]".
func (h Handler) String() string {
	s := h.Function
	if h.Module != "" {
		s += " [" + h.Module + "]"
	}
	if h.Thread != "" {
		s += ", thread " + h.Thread
	}
	return s
}

const (
	maxLines    = 40 // lines kept of one incident
	maxHandlers = 32
)

// Field returns the value of a field, "" if the line has none of that name.
func (in *Incident) Field(name string) string { return fieldOf(in.Fields, name) }

// IRQ returns the Linux irq that the incident is about, -1 if none is named.
func (in *Incident) IRQ() int {
	n, err := strconv.Atoi(in.Field("irq"))
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Meaning, Causes and Resolve are the catalogue's words with the values of this line.
func (in *Incident) Meaning() string { return expand(in.Message.Meaning, in.Fields) }

// Causes returns why it may have happened, the likeliest first.
func (in *Incident) Causes() []string {
	causes := make([]string, len(in.Message.Causes))
	for i, c := range in.Message.Causes {
		causes[i] = expand(c, in.Fields)
	}
	return causes
}

// Resolve returns what to do, with the values of this line in the commands.
func (in *Incident) Resolve() []Remedy {
	remedies := make([]Remedy, len(in.Message.Resolve))
	for i, r := range in.Message.Resolve {
		remedies[i] = Remedy{expand(r.Do, in.Fields), expandCommand(r.Command, in.Fields), expand(r.Risk, in.Fields)}
	}
	return remedies
}

func newIncident(m *Message, fields []Field, e Entry) *Incident {
	return &Incident{
		Message: m, Severity: m.Severity, Fields: fields, Lines: []string{string(e.Text)}, Stamp: string(e.Stamp), Uptime: e.Uptime,
		Origin: e.Origin, Program: string(e.Program),
	}
}

// finish works out what follows from all the lines together.
func (in *Incident) finish() {
	if analyse := analyses[in.Message.ID]; analyse != nil {
		analyse(in)
	}
	in.Title = expand(in.Message.Title, append(in.Fields, in.partFields()...))
}

func (in *Incident) partFields() (all []Field) {
	for _, p := range in.Parts {
		all = append(all, p.Fields...)
	}
	return all
}

// add takes a line that continues the incident.
func (in *Incident) add(m *Message, fields []Field, text []byte) {
	in.keep(text)
	switch {
	case m.ID == "handlers-line" && len(in.Handlers) < maxHandlers:
		in.Handlers = append(in.Handlers, Handler{fieldOf(fields, "handler"), fieldOf(fields, "module"), fieldOf(fields, "thread"), fieldOf(fields, "thread_module")})
	case len(in.Parts) < maxLines && m.ID != "handlers-line" && m.ID != "handlers":
		in.Parts = append(in.Parts, Part{m.ID, fields})
	}
}

func (in *Incident) keep(text []byte) {
	if len(in.Lines) < maxLines {
		in.Lines = append(in.Lines, string(text))
	}
}

func fieldOf(fields []Field, name string) string {
	for _, f := range fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// realtime is microseconds since 1970 as UTC.
func realtime(micros string) string {
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil {
		return ""
	}
	return time.UnixMicro(n).UTC().Format("2006-01-02 15:04:05Z")
}
