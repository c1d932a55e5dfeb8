package irq

import "strconv"

// A Code is one of the "no"s of ivt, by its Windows system error number. A Code is itself an error, so
// errors.Is(err, irq.ErrAlreadyConnected) asks for it. It also matches the errno of the same sense
// (errors.Is(err, syscall.EBUSY)), and on Windows the Win32 number.
type Code uint32

// The codes. What each means in full, and what to do: ivt explain CODE.
const (
	// ErrAlreadyConnected: the vector is held, by a connection, a grace period, a kernel driver or a process outside ivt.
	ErrAlreadyConnected Code = 763
	// ErrStillConnected: the vector is draining, or a detach or unbind while connected.
	ErrStillConnected Code = 764
	// ErrBusy: the device is connected in another interrupt mode, or granted as a device.
	ErrBusy Code = 170
	// ErrInvalidParameter: a malformed name, an index out of range, a wrong trigger.
	ErrInvalidParameter Code = 87
	// ErrNotSupported: sharing or masking what cannot be.
	ErrNotSupported Code = 50
	// ErrNoSuchDevice: no such source, or one that policy hides.
	ErrNoSuchDevice Code = 433
	// ErrNotConnected: the source is gone, or the connection is closed, revoked or of an older generation; the reason says which.
	ErrNotConnected Code = 1167
	// ErrNoResources: not enough free vectors, quota or host vector space.
	ErrNoResources Code = 1450
	// ErrAccessDenied: policy refuses; the error carries rule, file and line.
	ErrAccessDenied Code = 5
	// ErrTimeout: the wait ended at its deadline.
	ErrTimeout Code = 1460
	// ErrCancelled: the wait was cancelled.
	ErrCancelled Code = 1223
)

type codeText struct{ name, short, text string }

var codeTexts = map[Code]codeText{
	ErrAlreadyConnected: {"ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED", "AlreadyConnected", "the specified interrupt vector was already connected"},
	ErrStillConnected:   {"ERROR_INTERRUPT_STILL_CONNECTED", "StillConnected", "the specified interrupt vector is still connected"},
	ErrBusy:             {"ERROR_BUSY", "Busy", "the requested resource is in use"},
	ErrInvalidParameter: {"ERROR_INVALID_PARAMETER", "InvalidParameter", "the parameter is incorrect"},
	ErrNotSupported:     {"ERROR_NOT_SUPPORTED", "NotSupported", "the request is not supported"},
	ErrNoSuchDevice:     {"ERROR_NO_SUCH_DEVICE", "NoSuchDevice", "a device which does not exist was specified"},
	ErrNotConnected:     {"ERROR_DEVICE_NOT_CONNECTED", "NotConnected", "the device is not connected"},
	ErrNoResources:      {"ERROR_NO_SYSTEM_RESOURCES", "NoResources", "insufficient system resources exist to complete the requested service"},
	ErrAccessDenied:     {"ERROR_ACCESS_DENIED", "AccessDenied", "access is denied"},
	ErrTimeout:          {"ERROR_TIMEOUT", "TimedOut", "the timeout period expired"},
	ErrCancelled:        {"ERROR_CANCELLED", "Cancelled", "the operation was cancelled"},
}

// Codes returns all codes, in the order of the documentation.
func Codes() []Code {
	return []Code{ErrAlreadyConnected, ErrStillConnected, ErrBusy, ErrInvalidParameter, ErrNotSupported, ErrNoSuchDevice,
		ErrNotConnected, ErrNoResources, ErrAccessDenied, ErrTimeout, ErrCancelled}
}

// Name returns the Windows name, "ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED".
func (c Code) Name() string {
	if t, ok := codeTexts[c]; ok {
		return t.name
	}
	return "ERROR_" + strconv.FormatUint(uint64(c), 10)
}

// Short returns the name of the code as an error of the Varlink interface, "AlreadyConnected".
func (c Code) Short() string { return codeTexts[c].short }

// Text returns one sentence without full stop, in Microsoft's words where it is theirs.
func (c Code) Text() string { return codeTexts[c].text }

// Error returns "763 ERROR_INTERRUPT_VECTOR_ALREADY_CONNECTED: the specified interrupt vector was already connected".
func (c Code) Error() string {
	return strconv.FormatUint(uint64(c), 10) + " " + c.Name() + ": " + c.Text()
}

// Is reports whether target is the errno of the same sense (or the Win32 number, on Windows).
func (c Code) Is(target error) bool { return c.matchesErrno(target) }
