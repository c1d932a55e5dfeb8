//go:build linux

package kernel

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of a GPIO line (GPIO_V2_LINE_FLAG_*, linux/gpio.h).
const (
	GPIOUsed         = 1 << 0
	GPIOActiveLow    = 1 << 1
	GPIOInput        = 1 << 2
	GPIORising       = 1 << 4
	GPIOFalling      = 1 << 5
	GPIOPullUp       = 1 << 8
	GPIOPullDown     = 1 << 9
	GPIOBiasDisabled = 1 << 10
	gpioDebounce     = unix.GPIO_V2_LINE_ATTR_ID_DEBOUNCE
	gpioLabelSize    = 32
	GPIOEventSize    = int(unsafe.Sizeof(unix.GPIOV2LineEvent{})) // 48
	GPIOMaxEvents    = 64 * 16                                    // the largest ring of a line, GPIO_V2_LINES_MAX * 16
	GPIORisingEvent  = unix.GPIO_V2_LINE_EVENT_RISING_EDGE
	GPIOFallingEvent = unix.GPIO_V2_LINE_EVENT_FALLING_EDGE
)

// A GPIOChip is struct gpiochip_info.
type GPIOChip struct {
	Name, Label string
	Lines       int
}

// GetGPIOChip is GPIO_GET_CHIPINFO_IOCTL.
func GetGPIOChip(chip int) (GPIOChip, error) {
	var i unix.GPIOChipInfo
	_, err := ioctlOf(chip, unix.GPIO_GET_CHIPINFO_IOCTL, &i)
	return GPIOChip{unix.ByteSliceToString(i.Name[:]), unix.ByteSliceToString(i.Label[:]), int(i.Lines)}, err
}

// A GPIOLine is struct gpio_v2_line_info: what a line is called, who uses it, how.
type GPIOLine struct {
	Name, Consumer string
	Flags          uint64
}

// GetGPIOLine is GPIO_V2_GET_LINEINFO_IOCTL. EINVAL: there is no such line.
func GetGPIOLine(chip, offset int) (GPIOLine, error) {
	i := unix.GPIOV2LineInfo{Offset: uint32(offset)}
	_, err := ioctlOf(chip, unix.GPIO_V2_GET_LINEINFO_IOCTL, &i)
	return GPIOLine{unix.ByteSliceToString(i.Name[:]), unix.ByteSliceToString(i.Consumer[:]), i.Flags}, err
}

// A GPIORequest asks for the edges of one line.
type GPIORequest struct {
	Offset   int
	Consumer string // at most 31 bytes are kept
	Flags    uint64
	Debounce uint32 // microseconds, 0: none
	Events   int    // size of the ring; 0: 16. The kernel rounds up to a power of two
}

// RequestGPIO is GPIO_V2_GET_LINE_IOCTL. The descriptor is non-blocking. EBUSY: the line is used, or locked by pinctrl or an irqchip.
func RequestGPIO(chip int, q GPIORequest) (int, error) {
	r := unix.GPIOV2LineRequest{Num_lines: 1, Event_buffer_size: uint32(q.Events)}
	r.Offsets[0] = uint32(q.Offset)
	copy(r.Consumer[:gpioLabelSize-1], q.Consumer)
	r.Config.Flags = q.Flags
	if q.Debounce > 0 {
		r.Config.Num_attrs = 1
		r.Config.Attrs[0].Mask = 1
		r.Config.Attrs[0].Attr.Id = gpioDebounce
		binary.NativeEndian.PutUint32((*[8]byte)(unsafe.Pointer(&r.Config.Attrs[0].Attr.Flags))[:], q.Debounce) // a union
	}
	if _, err := ioctlOf(chip, unix.GPIO_V2_GET_LINE_IOCTL, &r); err != nil {
		return -1, err
	}
	return int(r.Fd), unix.SetNonblock(int(r.Fd), true)
}

// A GPIOEvent is struct gpio_v2_line_event.
type GPIOEvent struct {
	Time     uint64 // CLOCK_MONOTONIC nanoseconds
	Edge     uint32 // GPIORisingEvent, GPIOFallingEvent
	Sequence uint32 // from 1 in this request; a gap is a loss
}

// DecodeGPIOEvents appends what a read of a line's descriptor returned. A part of an event at the end is left out.
func DecodeGPIOEvents(events []GPIOEvent, b []byte) []GPIOEvent {
	ne := binary.NativeEndian
	for ; len(b) >= GPIOEventSize; b = b[GPIOEventSize:] {
		events = append(events, GPIOEvent{Time: ne.Uint64(b[0:]), Edge: ne.Uint32(b[8:]), Sequence: ne.Uint32(b[16:])})
	}
	return events
}
