package explain

import "strings"

// A Remedy is one thing to do: what, the exact command where there is one, and what it may break.
type Remedy struct {
	Do      string `toml:"do" json:"do"`
	Command string `toml:"command" json:"command,omitempty"`
	Risk    string `toml:"risk" json:"risk,omitempty"` // "" means none worth a word: it only reads
}

// ShellWord returns s as one word for a shell: as it is where it is harmless, quoted where a name from a log or a
// device could be read as more than a name.
func ShellWord(s string) string {
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/@,+-") == ""
	if plain && s != "" && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
