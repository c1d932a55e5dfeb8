package top

import (
	"fmt"
	"html"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// A picture of a terminal has cells of these sizes, in pixels.
const cellWidth, cellHeight = 8.4, 18

// palette are the 16 colours of the picture's terminal.
var palette = [...]string{"#1b1c20", "#ff6b6b", "#35b56c", "#e6b23c", "#6fb1ff", "#c78be4", "#4fc3c7", "#d6d6da",
	"#6b6e76", "#ff8787", "#5fd38f", "#f2cc60", "#9ccbff", "#dcb0f2", "#7fdde0", "#ffffff"}

// look is how text stands there, by SGR (ECMA-48 8.3.117).
type look struct {
	colour             string
	bold, dim, reverse bool
}

// svg draws what tmux captured with its escapes: a picture that is text, sharp at every size.
func svg(screen string, columns int) string {
	lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
	var b strings.Builder
	width, height := float64(columns)*cellWidth+24, len(lines)*cellHeight+24
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %d" width="%.0f" height="%d" font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="#131417"/>`+"\n")
	var l look
	for y, line := range lines {
		column := 0
		for line != "" {
			if rest, ok := strings.CutPrefix(line, "\x1b["); ok {
				parameters, after, _ := strings.Cut(rest, "m")
				l.set(parameters)
				line = after
				continue
			}
			text, after := line, ""
			if i := strings.IndexByte(line, '\x1b'); i >= 0 {
				text, after = line[:i], line[i:]
			}
			l.draw(&b, text, column, y)
			column, line = column+ansi.StringWidth(text), after
		}
	}
	return b.String() + "</svg>\n"
}

func (l *look) set(parameters string) {
	p := strings.Split(parameters, ";")
	for i := 0; i < len(p); i++ {
		n, _ := strconv.Atoi(p[i])
		switch {
		case n == 0:
			*l = look{}
		case n == 1:
			l.bold = true
		case n == 2:
			l.dim = true
		case n == 7:
			l.reverse = true
		case n == 27:
			l.reverse = false
		case n == 22:
			l.bold, l.dim = false, false
		case n >= 30 && n < 38:
			l.colour = palette[n-30]
		case n == 39:
			l.colour = ""
		case n >= 90 && n < 98:
			l.colour = palette[n-90+8]
		case n == 38 && i+4 < len(p) && p[i+1] == "2":
			l.colour = fmt.Sprintf("rgb(%s,%s,%s)", p[i+2], p[i+3], p[i+4])
			i += 4
		case n == 38 && i+2 < len(p) && p[i+1] == "5":
			l.colour = indexed(p[i+2])
			i += 2
		}
	}
}

// indexed is one of xterm's 256 colours: the 16, a cube of 6 × 6 × 6, and greys.
func indexed(text string) string {
	n, _ := strconv.Atoi(text)
	switch {
	case n < 16:
		return palette[max(0, n)]
	case n >= 232:
		return fmt.Sprintf("rgb(%[1]d,%[1]d,%[1]d)", 8+10*(n-232))
	}
	level := func(i int) int { return []int{0, 95, 135, 175, 215, 255}[i%6] }
	return fmt.Sprintf("rgb(%d,%d,%d)", level((n-16)/36), level((n-16)/6), level(n-16))
}

func (l *look) draw(b *strings.Builder, text string, column, row int) {
	x, y, width := 12+float64(column)*cellWidth, 12+row*cellHeight, float64(ansi.StringWidth(text))*cellWidth
	colour := l.colour
	if colour == "" {
		colour = "#e8e8ea"
	}
	if l.reverse {
		fmt.Fprintf(b, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x, y, width, cellHeight, colour)
		colour = "#131417"
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	more := ""
	if l.bold {
		more = ` font-weight="bold"`
	}
	if l.dim {
		more += ` opacity="0.6"`
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%d" fill="%s"%s textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>`+"\n",
		x, y+cellHeight-5, colour, more, width, html.EscapeString(text))
}
