package irq

// An Error is a refusal or failure with everything a caller needs to act on it (rule 4).
// errors.Is matches its Code, the errno of the same sense and whatever Err wraps.
type Error struct {
	Code      Code
	Operation string     // "connect", "disconnect", "mask", …
	Vector    Vector     // the vector concerned, zero if none or several
	Name      string     // what the caller wrote, where it names no vector
	Reason    Reason     // why, for programs
	Detail    string     // why, for people; one clause without full stop
	Conflicts []Conflict // who is in the way, one entry a vector
	Rule      *Rule      // which rule of the policy refused
	Requested int        // vectors asked for (ErrNoResources)
	Free      int        // vectors to be had (ErrNoResources)
	Remedies  []string   // what to do, most promising first; commands where there is one
	Err       error      // the cause below, often an errno
}

// A Conflict is one vector that cannot be had, with those who have it.
type Conflict struct {
	Vector  Vector   `json:"vector"`
	Reason  Reason   `json:"reason"`
	Holders []Holder `json:"holders"`
}

// A Rule is the place in the policy that decided. File and Line are empty for a built-in default.
type Rule struct {
	Text string `json:"rule"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Unwrap returns the code and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Code}
	}
	return []error{e.Code, e.Err}
}
