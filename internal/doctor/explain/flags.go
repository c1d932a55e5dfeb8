package explain

import (
	"fmt"
	"strconv"
	"strings"
)

// The bits of a request for an interrupt (include/linux/interrupt.h).
const (
	irqfTriggerMask  = 0x0f
	irqfShared       = 0x80
	irqfPercpu       = 0x400
	irqfOneshot      = 0x2000
	irqfCondOneshot  = 0x200000
	irqfTimerGeneral = 0x200
)

var flagNames = []struct {
	bit  uint32
	name string
}{
	{0x1, "TRIGGER_RISING"}, {0x2, "TRIGGER_FALLING"}, {0x4, "TRIGGER_HIGH"}, {0x8, "TRIGGER_LOW"}, {0x10, "TRIGGER_PROBE"},
	{0x20, "DISABLED"}, {0x40, "SAMPLE_RANDOM"}, // until 4.1 and 3.6
	{irqfShared, "SHARED"}, {0x100, "PROBE_SHARED"}, {irqfTimerGeneral, "TIMER"}, {irqfPercpu, "PERCPU"}, {0x800, "NOBALANCING"},
	{0x1000, "IRQPOLL"}, {irqfOneshot, "ONESHOT"}, {0x4000, "NO_SUSPEND"}, {0x8000, "FORCE_RESUME"}, {0x10000, "NO_THREAD"},
	{0x20000, "EARLY_RESUME"}, {0x40000, "COND_SUSPEND"}, {0x80000, "NO_AUTOEN"}, {0x100000, "NO_DEBUG"}, {irqfCondOneshot, "COND_ONESHOT"},
}

// FlagNames spells out the flags of a request: "IRQF_SHARED | IRQF_TRIGGER_HIGH", "none". Bits without a name are in hexadecimal.
func FlagNames(flags uint32) string {
	var names []string
	for _, f := range flagNames {
		if flags&f.bit != 0 {
			names = append(names, "IRQF_"+f.name)
			flags &^= f.bit
		}
	}
	if flags != 0 {
		names = append(names, fmt.Sprintf("0x%x", flags))
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " | ")
}

// triggerName spells out the trigger bits: "rising edge", "high level", "rising and falling edge", "no particular trigger".
func triggerName(bits uint32) string {
	switch bits & irqfTriggerMask {
	case 0:
		return "no particular trigger"
	case 0x1:
		return "rising edge"
	case 0x2:
		return "falling edge"
	case 0x3:
		return "rising and falling edge"
	case 0x4:
		return "high level"
	case 0x8:
		return "low level"
	case 0xc:
		return "high and low level"
	}
	return fmt.Sprintf("edge and level mixed (0x%x)", bits&irqfTriggerMask)
}

// A Mismatch is why the kernel refused to put a new handler on a line that has one (__setup_irq).
type Mismatch struct {
	Conditions []Condition `json:"conditions"` // the four, in the kernel's order
	Verdict    string      `json:"verdict"`    // which refused, in a sentence
	Fault      string      `json:"fault"`      // whose, and what would cure it
	Double     bool        `json:"double"`     // the same driver asked twice
}

// A Condition is one of the four that must hold for sharing.
type Condition struct {
	Name    string `json:"name"`
	Holds   bool   `json:"holds"`
	Because string `json:"because"`
}

// ExplainMismatch works out why a request with the flags new was refused on a line whose first handler has the flags old.
// asked and held are the names that both gave.
func ExplainMismatch(newFlags uint32, asked string, oldFlags uint32, held string) Mismatch {
	m := Mismatch{
		Conditions: []Condition{shared(newFlags, asked, oldFlags, held), trigger(newFlags, oldFlags), oneshot(newFlags, asked, oldFlags, held), percpu(newFlags, oldFlags)},
		Double:     asked == held && newFlags == oldFlags && newFlags&irqfShared == 0,
	}
	var failed []Condition
	for _, c := range m.Conditions {
		if !c.Holds {
			failed = append(failed, c)
		}
	}
	m.Verdict = verdict(failed)
	m.Fault = fault(m, failed, newFlags, asked, oldFlags, held)
	return m
}

func shared(n uint32, asked string, o uint32, held string) Condition {
	c := Condition{Name: "both share", Holds: n&o&irqfShared != 0}
	switch {
	case c.Holds:
		c.Because = "both asked to share (IRQF_SHARED)"
	case n&irqfShared != 0:
		c.Because = held + " did not ask to share (IRQF_SHARED)"
	case o&irqfShared != 0:
		c.Because = asked + " did not ask to share (IRQF_SHARED)"
	default:
		c.Because = "neither asked to share (IRQF_SHARED)"
	}
	return c
}

func trigger(n, o uint32) Condition {
	c := Condition{Name: "same trigger", Holds: n&irqfTriggerMask == o&irqfTriggerMask, Because: "both " + triggerName(n)}
	if !c.Holds {
		c.Because = triggerName(n) + " was asked for and the line has " + triggerName(o)
	}
	return c
}

// oneshot is not symmetric: a holder with ONESHOT takes a newcomer that says COND_ONESHOT, not the other way round.
func oneshot(n uint32, asked string, o uint32, held string) Condition {
	c := Condition{Name: "same one-shot", Holds: true, Because: "neither has IRQF_ONESHOT"}
	switch {
	case n&o&irqfOneshot != 0:
		c.Because = "both have IRQF_ONESHOT"
	case (n|o)&irqfOneshot == 0:
	case o&irqfOneshot != 0 && n&irqfCondOneshot != 0:
		c.Because = asked + " adapts to the holder (IRQF_COND_ONESHOT)"
	case n&irqfOneshot != 0 && o&irqfCondOneshot != 0:
		c.Holds = false
		c.Because = asked + " needs IRQF_ONESHOT; " + held + " would have adapted (IRQF_COND_ONESHOT) had it come second, but who is on the line already cannot"
	case n&irqfOneshot != 0:
		c.Holds, c.Because = false, asked+" has IRQF_ONESHOT and "+held+" has not"
	default:
		c.Holds, c.Because = false, held+" has IRQF_ONESHOT and "+asked+" has not"
	}
	return c
}

func percpu(n, o uint32) Condition {
	c := Condition{Name: "same per-CPU", Holds: (n^o)&irqfPercpu == 0, Because: "neither is per CPU (IRQF_PERCPU)"}
	switch {
	case !c.Holds:
		c.Because = "one is per CPU (IRQF_PERCPU) and the other is not"
	case n&irqfPercpu != 0:
		c.Because = "both are per CPU (IRQF_PERCPU)"
	}
	return c
}

func verdict(failed []Condition) string {
	if len(failed) == 0 {
		return "Both words agree in everything that is printed. What the kernel compares with besides, and does not print, is the line's own configured trigger: that must differ from what both words say."
	}
	parts := make([]string, len(failed))
	for i, c := range failed {
		parts[i] = c.Because
	}
	return "Refused, because " + strings.Join(parts, "; and because ") + "."
}

func fault(m Mismatch, failed []Condition, n uint32, asked string, o uint32, held string) string {
	switch {
	case m.Double:
		return asked + " asked twice: the same name with the same flags is there already. Two device tree nodes or firmware entries for one device, a second start of the same service, or a missing free_irq()."
	case len(failed) == 0:
		return "The description of the line (device tree, ACPI): see /sys/kernel/irq/N/type for what it is configured to."
	case o&irqfTimerGeneral != 0:
		return asked + ": the line is the system timer's, which nobody shares. It was given the wrong irq number (often 0, for \"none\")."
	case failed[0].Name == m.Conditions[0].Name:
		return sharingFault(failed, n, asked, o, held)
	case failed[0].Name == m.Conditions[1].Name:
		return "Nobody's in particular: both would share. The description (device tree, ACPI) gives them different triggers; on one wire there can be only one."
	case o&irqfCondOneshot != 0 && n&irqfOneshot != 0:
		return "Neither driver's: the kernel's rule is not symmetric, and the order in which they start decides. It would fit if " + held + " came second, or asked with IRQF_ONESHOT itself."
	}
	return "Nobody's in particular: both drivers would share, but one has a threaded handler that needs the line masked until it ran. Both must use IRQF_ONESHOT, or the second one IRQF_COND_ONESHOT."
}

func sharingFault(failed []Condition, n uint32, asked string, o uint32, held string) string {
	var s string
	switch {
	case n&irqfShared != 0:
		s = held + ", the holder: it does not share, on a line that another device needs."
	case o&irqfShared != 0:
		s = asked + ", the newcomer: it asks for a shared line without IRQF_SHARED."
	case asked == held:
		s = asked + ": two instances that do not share, with different flags."
	default:
		s = "Both: neither shares, so whoever comes first wins; the order can change from boot to boot."
	}
	if len(failed) > 1 {
		s += " Sharing alone would not do: " + failed[1].Because + "."
	}
	return s
}

func parseFlags(s string) uint32 {
	flags, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return 0
	}
	return uint32(flags)
}
