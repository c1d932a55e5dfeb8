package explain

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const bare = "irq 16: nobody cared (try booting with the \"irqpoll\" option)"

func TestDressingsAreTakenOff(t *testing.T) {
	type want struct {
		Text    string
		Origin  string
		Program string
		Stamp   string
		Uptime  float64
		Level   int
	}
	for name, test := range map[string]struct {
		line string
		want want
	}{
		"bare":                     {bare, want{bare, "", "", "", -1, -1}},
		"dmesg":                    {"[   46.340000] " + bare, want{bare, "", "", "46.340000", 46.34, -1}},
		"dmesg with caller":        {"[  179.602028][   T34] " + bare, want{bare, "", "", "179.602028", 179.602028, -1}},
		"dmesg with CPU as caller": {"[  179.602028][    C0] " + bare, want{bare, "", "", "179.602028", 179.602028, -1}},
		"dmesg -T":                 {"[Mon Nov 23 07:45:00 2026] " + bare, want{bare, "", "", "Mon Nov 23 07:45:00 2026", -1, -1}},
		"dmesg -H":                 {"[  +0.000012] " + bare, want{bare, "", "", "+0.000012", -1, -1}},
		"dmesg -r":                 {"<3>[   46.340000] " + bare, want{bare, "", "", "46.340000", 46.34, 3}},
		"dmesg -r, a program's":    {"<11>[   46.340000] " + bare, want{bare, "program", "", "46.340000", 46.34, 3}},
		"dmesg -x":                 {"kern  :err   : [   46.340000] " + bare, want{bare, "", "", "46.340000", 46.34, -1}},
		"dmesg -x, a program's":    {"user  :err   : [   46.340000] " + bare, want{bare, "program", "", "46.340000", 46.34, -1}},
		"dmesg --color":            {"\x1b[32m[   46.340000] \x1b[0m\x1b[33mirq 16: \x1b[0mnobody cared (try booting with the \"irqpoll\" option)\x1b[0m", want{bare, "", "", "46.340000", 46.34, -1}},
		"kmsg":                     {"3,339,46340000,-;" + bare, want{bare, "kernel", "", "", 46.34, 3}},
		"kmsg with caller":         {"3,339,46340000,-,caller=T1;" + bare, want{bare, "kernel", "", "", 46.34, 3}},
		"kmsg, a program's":        {"11,340,46340000,-;" + bare, want{bare, "program", "", "", 46.34, 3}},
		"syslog":                   {"Nov 23 07:45:00 host kernel: [   46.340000] " + bare, want{bare, "kernel", "", "Nov 23 07:45:00", 46.34, -1}},
		"syslog, day with a blank": {"Nov  2 07:45:00 host kernel: " + bare, want{bare, "kernel", "", "Nov  2 07:45:00", -1, -1}},
		"syslog in Polish":         {"lis 02 20:23:06 tpgbox.localdomain kernel: " + bare, want{bare, "kernel", "", "lis 02 20:23:06", -1, -1}},
		"syslog in Japanese":       {"11月 02 20:23:06 host kernel: " + bare, want{bare, "kernel", "", "11月 02 20:23:06", -1, -1}},
		"rsyslog":                  {"2026-11-23T07:45:00.123456+01:00 host kernel: [   46.340000] " + bare, want{bare, "kernel", "", "2026-11-23T07:45:00.123456+01:00", 46.34, -1}},
		"journalctl short-full":    {"Mon 2026-11-23 07:45:00 UTC host kernel: " + bare, want{bare, "kernel", "", "Mon 2026-11-23 07:45:00", -1, -1}},
		"journalctl monotonic":     {"[   46.340000] host kernel: " + bare, want{bare, "kernel", "", "46.340000", 46.34, -1}},
		"OpenWrt":                  {"Mon Nov 23 07:45:00 2026 kern.err kernel: [   46.340000] " + bare, want{bare, "kernel", "", "Mon Nov 23 07:45:00", 46.34, -1}},
		"wall":                     {" kernel:[   46.340000] " + bare, want{bare, "kernel", "", "46.340000", 46.34, -1}},
		"a program in syslog":      {"Nov 23 07:45:00 host joker[123]: " + bare, want{bare, "program", "joker", "", -1, -1}},
		"a program in Polish":      {"lis 02 20:23:06 host joker: " + bare, want{bare, "program", "joker", "", -1, -1}},
		"Xen":                      {"(XEN) [2026-11-23 07:45:00] CPU2: No irq handler for vector eb (IRQ -23, LAPIC)", want{"(XEN) [2026-11-23 07:45:00] CPU2: No irq handler for vector eb (IRQ -23, LAPIC)", "hypervisor", "", "", -1, -1}},
		"line feed of Windows":     {bare + "\r", want{bare, "", "", "", -1, -1}},
		"escapes of kmsg":          {`6,1,1,-;a\x09b`, want{"a\tb", "kernel", "", "", 1e-6, 6}},
		"not a time":               {"[CPU3] long duration of IRQ[16:f+0x0/0x1 [e]], took: 1200 us", want{"[CPU3] long duration of IRQ[16:f+0x0/0x1 [e]], took: 1200 us", "", "", "", -1, -1}},
		"empty":                    {"", want{"", "", "", "", -1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			e := parseEntry([]byte(test.line))
			got := want{string(e.Text), e.Origin.String(), string(e.Program), string(e.Stamp), e.Uptime, e.Level}
			if name == "a program in syslog" || name == "a program in Polish" {
				got.Stamp = ""
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// export writes one block of journalctl -o export.
func export(fields ...string) string {
	return "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795000000000000\n" + strings.Join(fields, "\n") + "\n\n"
}

func TestJournalExport(t *testing.T) {
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(bare)+6))
	binaryMessage := "MESSAGE\n" + string(length[:]) + bare + "\nsecond"[:6] + "\n"
	text := export("_TRANSPORT=kernel", "PRIORITY=3", "SYSLOG_FACILITY=0", "SYSLOG_IDENTIFIER=kernel", "MESSAGE="+bare, "_SOURCE_MONOTONIC_TIMESTAMP=46340000") +
		export("_TRANSPORT=syslog", "SYSLOG_IDENTIFIER=joker", "MESSAGE="+bare) +
		export("_TRANSPORT=kernel", "SYSLOG_FACILITY=1", "SYSLOG_IDENTIFIER=joker", "MESSAGE="+bare) +
		export("_TRANSPORT=kernel", "MESSAGE=usb 1-1: new device") +
		"__CURSOR=s=1;i=3\n_TRANSPORT=kernel\n" + binaryMessage + "\n"
	found := scan(t, text, false)
	var got []string
	for _, in := range found {
		got = append(got, in.Message.ID+" "+in.Origin.String()+" "+in.Program+" "+in.Stamp)
	}
	want := []string{"nobody-cared kernel  2026-11-18 11:06:40Z", "nobody-cared program joker 2026-11-18 11:06:40Z", "nobody-cared program joker 2026-11-18 11:06:40Z", "nobody-cared kernel  "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if found[0].Uptime != 46.34 {
		t.Errorf("uptime %v", found[0].Uptime)
	}
}

func TestJournalJSON(t *testing.T) {
	text := `{"_TRANSPORT":"kernel","MESSAGE":"irq 16: nobody cared (try booting with the \"irqpoll\" option)","__REALTIME_TIMESTAMP":"1795000000000000"}
{"_TRANSPORT":"stdout","SYSLOG_IDENTIFIER":"joker","MESSAGE":[68,105,115,97,98,108,105,110,103,32,73,82,81,32,35,49,54]}
{"MESSAGE":null}
{"MESSAGE":{"a":1}}
`
	found := scan(t, text, false)
	if diff := cmp.Diff([]string{"nobody-cared", "disabling-irq"}, ids(found)); diff != "" {
		t.Fatal(diff)
	}
	if found[1].Origin != Program {
		t.Errorf("origin %v", found[1].Origin)
	}
}

const report = `[  100.000000] irq 16: nobody cared (try booting with the "irqpoll" option)
[  100.000001] CPU: 3 PID: 812 Comm: modprobe Not tainted 6.1.0-50-amd64 #1
[  100.000002] Call Trace:
[  100.000003]  <IRQ>
[  100.000004]  dump_stack_lvl+0x44/0x5c
[  100.000005]  __report_bad_irq+0x35/0xaa
[  100.000006] handlers:
[  100.000007] [<000000003a1b2c3d>] usb_hcd_irq [usbcore]
[  100.000008] [<00000000deadbeef>] i801_isr [i2c_i801] threaded [<00000000cafebabe>] i801_thread [i2c_i801]
[  100.000009] Disabling IRQ #16
[  100.000010] Disabling IRQ #17
`

func TestLinesOfOneReportAreJoined(t *testing.T) {
	found := scan(t, report, false)
	if diff := cmp.Diff([]string{"nobody-cared", "disabling-irq"}, ids(found)); diff != "" {
		t.Fatal(diff)
	}
	in := found[0]
	want := []Handler{{Function: "usb_hcd_irq", Module: "usbcore"}, {Function: "i801_isr", Module: "i2c_i801", Thread: "i801_thread", ThreadModule: "i2c_i801"}}
	if diff := cmp.Diff(want, in.Handlers); diff != "" {
		t.Error(diff)
	}
	if in.Task != "modprobe (pid 812)" || in.Kernel != "6.1.0-50-amd64" || len(in.Lines) != 5 {
		t.Errorf("task %q, kernel %q, %d lines", in.Task, in.Kernel, len(in.Lines))
	}
	if found[1].IRQ() != 17 {
		t.Errorf("irq %d was joined to another one's report", found[1].IRQ())
	}
}

func TestARefusedRequestIsJoinedWithItsDevice(t *testing.T) {
	found := scan(t, `[    7.204595] genirq: Flags mismatch irq 27. 00000004 (dma controller error irq) vs. 00000004 (dma controller error irq)
[    7.227205] adi-dma 310a7000.dma: error -EBUSY: request_irq(27) adi_dma_error_handler adi_dma_thread_handler dma controller error irq
`, false)
	if len(found) != 1 || !found[0].Mismatch.Double || !strings.Contains(strings.Join(found[0].Verdict, " "), "310a7000.dma") {
		t.Errorf("%v", ids(found))
	}
}

func TestAProgramCannotJoinTheKernel(t *testing.T) {
	found := scan(t, "Nov 23 07:45:00 host kernel: "+bare+"\nNov 23 07:45:00 host joker: Disabling IRQ #16\n", false)
	if len(found) != 2 || found[0].Parts != nil || found[1].Origin != Program {
		t.Errorf("%v", ids(found))
	}
}

func TestAStackTraceIsNoHandler(t *testing.T) {
	if found := scan(t, "[<ffffffffa01d0c50>] warn_slowpath+0x1/0x2 [e1000]\n", false); found != nil {
		t.Errorf("%v", ids(found))
	}
}

func TestBootsAreToldApart(t *testing.T) {
	const start = "[    0.000000] Linux version 6.1.0-50-amd64 (x) #1 SMP\n"
	l, err := Collect(strings.NewReader(start + "[    5.0] Disabling IRQ #16\n" + start + "[    6.0] Disabling IRQ #17\n"))
	if err != nil {
		t.Fatal(err)
	}
	if l.Boots != 2 || l.Kernel != "6.1.0-50-amd64" || len(l.Groups) != 2 || !l.Over(l.Groups[0]) || l.Over(l.Groups[1]) {
		t.Errorf("%+v", l)
	}
}
