package doctor

import (
	"fmt"
	"strings"

	"github.com/ivtd/ivt/internal/host"
)

// busyGPE is the rate from which a firmware event is a storm, a second: a battery, lid or fan has a few a minute, an
// embedded controller under load some tens a second.
const busyGPE = 100

// lookGPEs reports general purpose events that do not stop, behind the ACPI interrupt.
func lookGPEs(x *exam) string {
	if x.Log != nil {
		fromLog(x)
	}
	looked := 0
	for _, g := range x.m.GPEs {
		if !strings.HasPrefix(g.Name, "gpe") || g.Name == "gpe_all" {
			continue
		}
		looked++
		if rate, how, ok := x.gpeRate(g); ok && rate >= busyGPE {
			x.addGPE(g, rate, how)
		}
	}
	return plural(looked, "GPE")
}

func (x *exam) gpeRate(g host.GPE) (perSecond float64, how string, ok bool) {
	if x.Before != nil && x.report.Sampled > 0 {
		for _, b := range x.Before.GPEs {
			if b.Name == g.Name && g.Count >= b.Count {
				return float64(g.Count-b.Count) / x.report.Sampled, fmt.Sprintf("over %.1f s", x.report.Sampled), true
			}
		}
		return 0, "", false
	}
	if x.uptime <= 0 {
		return 0, "", false
	}
	return float64(g.Count) / x.uptime.Seconds(), "on average since boot", true
}

func (x *exam) addGPE(g host.GPE, rate float64, how string) {
	file := "/sys/firmware/acpi/interrupts/" + g.Name
	number := strings.TrimPrefix(g.Name, "gpe")
	f := Finding{
		Severity: Warning, Title: fmt.Sprintf("Firmware event %s fires %.0f times a second", strings.ToUpper(g.Name), rate),
		Evidence: []Evidence{{From: file, Value: strings.TrimSpace(fmt.Sprintf("%d %s", g.Count, g.State))}, {From: "rate", Value: fmt.Sprintf("%.0f a second %s", rate, how)}},
		Meaning:  "A general purpose event comes again as soon as it was served: a GPE storm. It keeps a CPU busy in the ACPI interrupt and in kworker/kacpid threads, often one core to the full. The firmware, or a device whose event is level-triggered and never goes away, is at fault.",
		Remedies: []Remedy{
			{Do: "Mask this event until the next boot.", Command: "echo mask > " + file, Risk: "What it signals (a lid, a battery, hot-plug, waking up) is not noticed any more."},
			{Do: "Mask it at every boot: acpi_mask_gpe=0x" + number + " on the command line.", Risk: "The same, for good."},
			{Do: "Update the firmware.", Risk: "A firmware update that fails can leave the machine dead."},
		},
	}
	if strings.Contains(g.State, "masked") && !strings.Contains(g.State, "unmasked") {
		return // somebody did that already: the count is from before
	}
	for i := range x.m.IRQs {
		if q := &x.m.IRQs[i]; hasHandler(q, "acpi") {
			f.Evidence, f.Vectors = append(f.Evidence, row(q)), append(f.Vectors, q.Name())
		}
	}
	x.add(f)
}
