package explain

import (
	"io"
	"strings"
)

// A Log is what a whole log tells: its incidents, the same ones counted together.
type Log struct {
	Groups  []*Group `json:"groups"`
	Lines   int64    `json:"lines"`             // records read
	Foreign int64    `json:"foreign,omitempty"` // lines of programs that look like the kernel's; never in Groups of the kernel
	Dropped int64    `json:"dropped,omitempty"` // incidents beyond maxGroups different ones
	Boots   int      `json:"boots,omitempty"`   // how many starts of a kernel are in it; 0 if it begins later
	Kernel  string   `json:"kernel,omitempty"`  // release of the last of them
}

// A Group is one incident and how often its like came.
type Group struct {
	*Incident
	Count int64  `json:"count"`
	Last  string `json:"lastTime,omitempty"` // Stamp of the last one
	Boot  int    `json:"boot,omitempty"`     // Log.Boots when the last one came
}

// Over reports whether it last came before the last start of a kernel that the log has.
func (l *Log) Over(g *Group) bool { return g.Boot < l.Boots }

// maxGroups bounds the memory that a log can take, also a hostile one.
const maxGroups = 512

// Collect reads a log to its end. Its memory does not grow with the length of the log.
func Collect(r io.Reader) (*Log, error) {
	s := NewScanner(r)
	l := &Log{}
	index := map[string]*Group{}
	for s.Scan() {
		l.add(s.Incident(), index)
	}
	l.Lines, l.Foreign = s.Lines, s.Foreign
	return l, s.Err()
}

func (l *Log) add(in *Incident, index map[string]*Group) {
	if in.Message.ID == "linux-version" && in.Origin != Program {
		l.Boots++
		l.Kernel = in.Field("release")
		return
	}
	key := in.key()
	if g := index[key]; g != nil {
		g.Count++
		g.Last, g.Boot = in.Stamp, l.Boots
		g.Severity = max(g.Severity, in.Severity)
		return
	}
	if len(index) >= maxGroups {
		l.Dropped++
		return
	}
	g := &Group{Incident: in, Count: 1, Last: in.Stamp, Boot: l.Boots}
	index[key] = g
	l.Groups = append(l.Groups, g)
}

// passing are the fields that differ between two incidents of one kind.
var passing = map[string]bool{
	"address": true, "count": true, "cpu": true, "index": true, "microseconds": true, "milliseconds": true, "nanoseconds": true,
	"rank": true, "tag": true, "times": true, "value": true, "irr": true, "isr": true, "rate": true, "limit": true, "what": true,
}

// key is the same for incidents that are counted together.
func (in *Incident) key() string {
	var b strings.Builder
	b.WriteString(in.Message.ID)
	b.WriteByte(0)
	b.WriteString(in.Origin.String())
	for _, f := range in.Fields {
		if !passing[f.Name] {
			b.WriteByte(0)
			b.WriteString(f.Value)
		}
	}
	return b.String()
}
