package bind

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// processes are those that have a device node of the function open: a disk, a port, a graphics card, its VFIO group.
func (m *machine) processes(d Device, nodes []node) []Use {
	files := map[string]bool{}
	for _, n := range nodes {
		if n.file != "" && n.dev != "" {
			files[n.file] = true
		}
	}
	if d.Group != "" && isVFIO(d.Driver) {
		files["/dev/vfio/"+d.Group] = true
		files["/dev/vfio/noiommu-"+d.Group] = true
	}
	if len(files) == 0 {
		return nil
	}
	var uses []Use
	denied := 0
	for _, pid := range m.names("/proc") {
		if pid[0] < '1' || pid[0] > '9' {
			continue
		}
		open, err := m.opened(pid, files)
		if errors.Is(err, fs.ErrPermission) {
			denied++
		}
		for _, file := range open {
			uses = append(uses, Use{Kind: UseProcess, What: fmt.Sprintf("pid %s (%s) has %s open", pid, m.text("/proc/"+pid+"/comm"), file),
				Cure: "end it: kill " + pid})
		}
	}
	if denied > 0 {
		m.note(fmt.Sprintf("%d processes of others could not be looked at: run it as root to see who has it open", denied))
	}
	return uses
}

// opened returns which of the files a process has open.
func (m *machine) opened(pid string, files map[string]bool) ([]string, error) {
	dir := "/proc/" + pid + "/fd"
	entries, err := os.ReadDir(m.path(dir))
	var open []string
	for _, e := range entries {
		target, err := os.Readlink(m.path(dir + "/" + e.Name()))
		target, _ = strings.CutSuffix(target, " (deleted)")
		if err == nil && files[target] && !slices.Contains(open, target) {
			open = append(open, target)
		}
	}
	return open, err
}
