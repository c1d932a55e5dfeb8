package main

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// A step is what a call did to one vector, as far as its caller can say. Connections are named by the grant, a number.
type step struct {
	what  what
	grant uint64
	pid   int
}

type what int

const (
	granted  what = iota // it is free, and the grant's from now on
	released             // it is the grant's, and free from now on
	wasHeld              // it is somebody's
	wasFree              // it is nobody's
	wasOf                // it is the process's
	loosened             // if it is the grant's, it may become free by itself from now on: its holder is dead, or gave it up unheard
	perhaps              // if it is free, it may be the grant's from now on, until that goes by itself: nobody got the answer
	gaveUp               // released, or it had become free by itself
)

// vector is the state of one: free (0) or a grant's. Loose means that it may be free as well.
type vector struct {
	grant uint64
	pid   int
	loose bool
}

func (v vector) mayBeFree() bool { return v.grant == 0 || v.loose }

// vectorModel is the table of one holder each, for one vector: exclusive, released by its holder or by the holder's death.
func vectorModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return vector{} },
		Step: func(state, input, _ any) (bool, any) {
			return input.(step).from(state.(vector))
		},
		DescribeOperation: func(input, _ any) string { return input.(step).String() },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

func (s step) from(v vector) (possible bool, next vector) {
	mine := v.grant != 0 && v.grant == s.grant
	switch s.what {
	case granted:
		return v.mayBeFree(), vector{grant: s.grant, pid: s.pid}
	case released:
		return mine, vector{}
	case wasHeld:
		return v.grant != 0, v
	case wasFree:
		return v.mayBeFree(), vector{}
	case wasOf:
		return v.grant != 0 && v.pid == s.pid, v
	case perhaps:
		if v.mayBeFree() {
			return true, vector{s.grant, s.pid, true}
		}
	case loosened:
		if mine {
			v.loose = true
		}
	case gaveUp:
		if mine {
			v = vector{}
		}
	}
	return true, v
}

func (s step) String() string {
	names := []string{"granted", "released", "was held", "was free", "was of", "loosened", "perhaps granted", "given up"}
	return fmt.Sprintf("%s by %d, grant %d.%d", names[s.what], s.pid, s.grant>>32, s.grant&(1<<32-1))
}
