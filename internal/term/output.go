package term

import (
	"io"
	"os"
	"strconv"
)

// An Output is where a command writes, and what that place can show.
type Output struct {
	io.Writer
	Terminal bool // a person looks
	Colour   bool // Terminal, and neither NO_COLOR nor TERM=dumb
	Width    int  // columns; 80 where there is no terminal and COLUMNS does not say
}

// For says what f can show.
func For(f *os.File) Output {
	o := Output{Writer: f, Width: 80}
	if width, ok := terminalWidth(f); ok {
		o.Terminal = true
		o.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if width > 0 {
			o.Width = width
		}
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		o.Width = n
	}
	return o
}

// The styles, in the 16 colours that every terminal has.
const (
	Bold   = "1"
	Dim    = "2"
	Red    = "31"
	Green  = "32"
	Yellow = "33"
	Blue   = "34"
	Cyan   = "36"
)

// Style returns s in a style, or as it is where there is no colour. It is for the program's own words; make others Safe first.
func (o Output) Style(style, s string) string {
	if !o.Colour || s == "" {
		return s
	}
	return "\x1b[" + style + "m" + s + "\x1b[0m"
}
