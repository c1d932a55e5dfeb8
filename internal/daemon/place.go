package daemon

import (
	"errors"
	"os"
	"path/filepath"
)

// Places are where an ivtd has its files.
type Places struct {
	Socket string
	Mode   os.FileMode // of the socket
	Policy string
	// History is the file of events; "" for none.
	History string
}

// SystemPlaces are those of the machine's ivtd: everybody may connect, what they get says the policy.
func SystemPlaces() Places {
	return Places{Socket: "/run/ivtd/ivtd.sock", Mode: 0o666, Policy: "/etc/ivtd/ivtd.toml",
		History: "/var/lib/ivtd/history.db"}
}

// UserPlaces are those of an ivtd that a user runs for itself.
func UserPlaces() (Places, error) {
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	if runtime == "" {
		return Places{}, errors.New("XDG_RUNTIME_DIR is not set, so there is no place for a user's socket: choose one with --socket")
	}
	p := Places{Socket: filepath.Join(runtime, "ivtd.sock"), Mode: 0o600}
	if config, err := os.UserConfigDir(); err == nil {
		p.Policy = filepath.Join(config, "ivtd", "ivtd.toml")
	}
	p.History = UserHistory()
	return p, nil
}

// UserHistory is the file of events of a user's ivtd; "" if there is no place for it.
func UserHistory() string {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "ivtd", "history.db")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "ivtd", "history.db")
	}
	return ""
}
