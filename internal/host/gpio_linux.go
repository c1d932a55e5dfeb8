package host

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/ivtd/ivt/internal/kernel"
)

const maxLines = 4096 // of a chip; the largest of known boards have some hundred

// liveGPIOLines asks each chip. A chip that may not be opened is noted.
func liveGPIOLines(g *reading) (lines []GPIOLine) {
	for _, name := range g.names("dev") {
		if !strings.HasPrefix(name, "gpiochip") {
			continue
		}
		f, err := os.Open("/dev/" + name)
		if err != nil {
			g.deny("GPIO lines", err)
			continue
		}
		found, err := chipLines(f, name)
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrClosed) {
			g.addBlind(Blind{What: "GPIO lines of " + name, Why: err.Error()})
		}
		lines = append(lines, found...)
	}
	return lines
}

func chipLines(f *os.File, name string) (lines []GPIOLine, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		var chip kernel.GPIOChip
		if chip, failed = kernel.GetGPIOChip(int(fd)); failed != nil {
			return
		}
		for offset := range min(chip.Lines, maxLines) {
			info, err := kernel.GetGPIOLine(int(fd), offset)
			if err != nil {
				failed = err
				return
			}
			lines = append(lines, GPIOLine{Chip: name, Offset: offset, Name: info.Name, Used: info.Flags&kernel.GPIOUsed != 0, Consumer: info.Consumer})
		}
	})
	if err == nil {
		err = failed
	}
	return lines, err
}
