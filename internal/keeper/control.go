package keeper

import (
	"encoding/binary"
	"fmt"

	"github.com/ivtd/ivt/internal/kernel"
)

// The worker speaks to the keeper in records on a SEQPACKET socket: an operation, a number of
// (slot, descriptors) pairs, and the descriptors of all of them in that order. There is no reply but to opSync: a record
// that was sent is in the socket's queue, and stays there when the sender dies.
const (
	opPut     = 1 // hold these descriptors for these slots, instead of what was held
	opDrop    = 2 // let go of what is held for these slots
	opEnd     = 4 // the keeper's answer to opSync
	opReady   = 5 // the worker serves
	opUpgrade = 6 // execute the program file again, in place
	opStop    = 7 // the worker is about to end for good
	opSync    = 8 // send opEnd

	pairSize  = 8
	maxRecord = 4 + pairSize*kernel.MaxRights
)

type pair struct{ slot, count uint32 }

func encodeRecord(op uint32, pairs ...pair) []byte {
	b := make([]byte, 4, 4+pairSize*len(pairs))
	binary.LittleEndian.PutUint32(b, op)
	for _, p := range pairs {
		b = binary.LittleEndian.AppendUint32(b, p.slot)
		b = binary.LittleEndian.AppendUint32(b, p.count)
	}
	return b
}

// decodeRecord checks that the pairs account for every descriptor that came with the record, and are of slots that there are.
func decodeRecord(b []byte, descriptors, slots int) (op uint32, pairs []pair, err error) {
	if len(b) < 4 || (len(b)-4)%pairSize != 0 {
		return 0, nil, fmt.Errorf("record of %d bytes", len(b))
	}
	op = binary.LittleEndian.Uint32(b)
	total := 0
	for at := 4; at < len(b); at += pairSize {
		p := pair{binary.LittleEndian.Uint32(b[at:]), binary.LittleEndian.Uint32(b[at+4:])}
		if p.count > MaxDescriptors {
			return 0, nil, fmt.Errorf("%d descriptors for slot %d", p.count, p.slot)
		}
		if int(p.slot) >= slots {
			return 0, nil, fmt.Errorf("slot %d of %d", p.slot, slots)
		}
		total += int(p.count)
		pairs = append(pairs, p)
	}
	if total != descriptors {
		return 0, nil, fmt.Errorf("%d descriptors came, %d announced", descriptors, total)
	}
	return op, pairs, nil
}
