package keeper

import (
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
)

// RequestSuffix ends the key under which a source keeps the eventfd by which the kernel asks for a device (VFIO's REQ). Its
// value is the prefix of the keys that hold the device.
const RequestSuffix = "/req"

// releaseRequested lets go of devices that the kernel wants back while there is no worker to see to it: an
// unbind or unplug must not hang on a descriptor of ours.
func (k *Keeper) releaseRequested() {
	for i, fds := range k.held {
		key, value, ok := k.memory.slot(i).read()
		if !ok || !strings.HasSuffix(key, RequestSuffix) || len(fds) == 0 || len(value) == 0 {
			continue
		}
		if asked, err := kernel.IsReadable(fds[0]); err != nil || !asked {
			continue
		}
		k.options.Log.Warn("the kernel asks for a device while no worker runs: letting it go", "device", string(value))
		k.dropPrefix(string(value))
	}
}

func (k *Keeper) dropPrefix(prefix string) {
	for i := range k.held {
		if key, _, ok := k.memory.slot(i).read(); ok && strings.HasPrefix(key, prefix) {
			k.drop(i)
		}
	}
}
