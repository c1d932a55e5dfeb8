package explain

// A Remedy is one thing to do: what, the exact command where there is one, and what it may break.
type Remedy struct {
	Do      string `toml:"do" json:"do"`
	Command string `toml:"command" json:"command,omitempty"`
	Risk    string `toml:"risk" json:"risk,omitempty"` // "" means none worth a word: it only reads
}
