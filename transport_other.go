//go:build !linux

package ivt

import "github.com/ivtd/ivt/irq"

func newTransport(path, why string) (transport, error) {
	return nil, &irq.Error{Code: irq.ErrNotSupported, Operation: "connect", Reason: irq.ReasonNoSuchSource,
		Detail: "ivtd runs on Linux only", Remedies: []string{"use package irq, the registry within one process"}}
}
