package policy

import "testing"

// FuzzPolicy: no text makes the reader panic, every problem has a place inside the file, and
// what is accepted has rules that name their line.
func FuzzPolicy(f *testing.F) {
	for _, s := range []string{sample, "[soft.demo]\nvectors = 64\n", "[[device]]\nmatch = { vendor = \"8086\" }\nbudget = 5\ndebounce = \"1ms\"\n",
		"[limits]\nack_deadline = \"1s\"\n", "allow = [ { vectors = [\"a:*\"], uid = 1 } ]\n", "[[allow]]\n[allow.x]\n", "[limits]\nhistory = \"x\"\nhistory = 3",
		"soft.demo.vectors = 3\n", "[\"\\u0000\"]", "a = '''\n", "[[allow]]\nvectors=[1,[2,{a=1}]]\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		p, problems := compile([]part{{"f.toml", data}}, 500)
		for _, m := range problems {
			if m.Text == "" || m.Line < 0 || m.Line > len(data)+1 || m.Column > len(data)+1 {
				t.Errorf("problem without a place or words: %+v", m)
			}
		}
		if len(problems) > 0 {
			return
		}
		for _, r := range p.Rules {
			if r.File != "" && r.Line == 0 {
				t.Errorf("rule without line: %+v", r)
			}
		}
	})
}
