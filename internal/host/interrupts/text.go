package interrupts

import "strings"

// Fields is the text of an irq's row, taken apart (show_interrupts in kernel/irq/proc.c).
type Fields struct {
	Chip    string // "IO-APIC", "IR-PCI-MSIX-0000:3d:00.0", "SiFive PLIC"; "" where the kernel prints "-" or "None"
	HWIRQ   int64  // -1 if the row has none
	Flow    string // "edge", "fasteoi", "event": the flow handler's name, where the architecture names it
	Trigger string // "edge", "level", "" if the row does not tell
	Actions string // the names of the handlers, joined by ", "
}

// ParseText takes the text of an irq's row apart:
//
//	IO-APIC   2-edge      timer            x86
//	GICv3  27 Level     arch_timer         GENERIC_IRQ_SHOW_LEVEL: arm64, riscv, powerpc
//	xen-dyn    -event     eth0             no hwirq
//	IR-PCI-MSI-edge      ahci              before 4.x
//	PCI-MSI  mlx5_comp0                    s390
//
// The hwirq is the first number that is followed by its level, its flow or the gap before the handlers; what
// is before it is the chip, which may have blanks.
func ParseText(text string) Fields {
	f := Fields{HWIRQ: -1}
	for start := 0; start < len(text); {
		end := start + blankOr(text[start:])
		if rest, ok := f.numbered(text, start, end); ok {
			f.Actions = rest
			break
		}
		next := end
		for next < len(text) && text[next] == ' ' {
			next++
		}
		if next == len(text) || next-end > 1 && !mayBeHWIRQ(text[next:]) {
			f.unnumbered(text[:end], text[next:])
			break
		}
		start = next
	}
	if f.Chip == "-" || f.Chip == "None" {
		f.Chip = ""
	}
	if f.Trigger == "" {
		f.Trigger = trigger(f.Chip, f.Flow)
	}
	return f
}

// numbered tries the word text[start:end] as the hwirq or, for Xen, the flow without one.
func (f *Fields) numbered(text string, start, end int) (actions string, ok bool) {
	word, after := text[start:end], text[end:]
	rest := strings.TrimLeft(after, " ")
	number, flow, _ := strings.Cut(word, "-")
	hwirq, isNumber := parseHWIRQ(number)
	switch level := rest[:blankOr(rest)]; {
	case start == 0:
		return "", false
	case number == "" && flow != "":
		f.HWIRQ, f.Flow = -1, flow
	case !isNumber:
		return "", false
	case flow == "" && (level == "Level" || level == "Edge"):
		f.HWIRQ, f.Trigger = hwirq, strings.ToLower(level)
		rest = strings.TrimLeft(rest[len(level):], " ")
		if strings.HasPrefix(rest, "-") {
			f.Flow = rest[1:blankOr(rest)]
			rest = strings.TrimLeft(rest[1+len(f.Flow):], " ")
		}
	case rest != "" && !strings.HasPrefix(after, "  "):
		return "", false
	default:
		f.HWIRQ, f.Flow = hwirq, flow
	}
	f.Chip = strings.TrimRight(text[:start], " ")
	return rest, true
}

// unnumbered is a row without hwirq: chip, perhaps "-flow", a gap, the handlers.
func (f *Fields) unnumbered(chip, actions string) {
	f.Chip, f.Actions = chip, actions
	if i := strings.LastIndexByte(chip, '-'); i > 0 {
		switch chip[i+1:] {
		case "edge", "level", "fasteoi", "event", "percpu", "simple":
			f.Chip, f.Flow = chip[:i], chip[i+1:]
		}
	}
}

// mayBeHWIRQ reports whether what follows a gap is still the hwirq, right-aligned in its column, or Xen's
// flow in the place of one.
func mayBeHWIRQ(s string) bool {
	word := s[:blankOr(s)]
	if word[0] == '-' {
		return len(word) > 1
	}
	number, flow, cut := strings.Cut(word, "-")
	_, ok := parseHWIRQ(number)
	return ok && (!cut || flow != "")
}

func blankOr(s string) int {
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return i
	}
	return len(s)
}

func parseHWIRQ(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 18 {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

// trigger says what the flow means: an IO-APIC's fasteoi handler is for level (arch/x86/kernel/apic/io_apic.c),
// a message-signalled interrupt is an edge.
func trigger(chip, flow string) string {
	switch {
	case flow == "edge", flow == "level":
		return flow
	case flow == "fasteoi" && strings.HasSuffix(chip, "IO-APIC"):
		return "level"
	case strings.Contains(chip, "MSI"):
		return "edge"
	}
	return ""
}
