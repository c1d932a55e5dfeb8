package places

import (
	"errors"
	"os"
	"path/filepath"
)

// A Set is where one ivtd has its files.
type Set struct {
	Socket string
	Mode   os.FileMode // of the socket
	Policy string
	// History is the file of events; "" for none.
	History string
}

// System returns those of the machine's ivtd: everybody may connect, what they get says the policy.
func System() Set {
	return Set{Socket: "/run/ivtd/ivtd.sock", Mode: 0o666, Policy: "/etc/ivtd/ivtd.toml",
		History: "/var/lib/ivtd/history.db"}
}

// User returns those of an ivtd that a user runs for itself. The error says that the user has no folder for a socket.
func User() (Set, error) {
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	if runtime == "" {
		return Set{}, errors.New("XDG_RUNTIME_DIR is not set, so there is no place for a user's socket: choose one with --socket")
	}
	p := Set{Socket: filepath.Join(runtime, "ivtd.sock"), Mode: 0o600}
	if config, err := os.UserConfigDir(); err == nil {
		p.Policy = filepath.Join(config, "ivtd", "ivtd.toml")
	}
	p.History = history()
	return p, nil
}

// history is the file of events of a user's ivtd; "" if there is no place for it.
func history() string {
	if state := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(state) {
		return filepath.Join(state, "ivtd", "history.db")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "ivtd", "history.db")
	}
	return ""
}
