package kernels

import "testing"

func TestNewestOfASeries(t *testing.T) {
	packages := []string{
		"linux-image-amd64", "linux-image-6.1.0-47-amd64", "linux-image-6.1.0-50-amd64", "linux-image-6.1.0-9-amd64",
		"linux-image-6.1.0-50-cloud-amd64", "linux-image-6.1.0-60-rt-amd64", "linux-image-6.1.0-50-amd64-unsigned",
		"linux-image-6.12.90+deb12.1-amd64", "linux-image-6.12.107+deb13-amd64", "linux-image-6.12.95+deb12-amd64",
		"linux-image-6.12.200+deb12-cloud-amd64", "linux-image-7.2.13+deb14-amd64", "linux-image-7.3.4+deb13-amd64",
		"linux-image-7.3.5+deb13-amd64-dbg",
	}
	for series, want := range map[string]string{
		"6.1": "6.1.0-50", "6.12": "6.12.107+deb13", "7": "7.3.4+deb13", "7.2": "7.2.13+deb14", "5": "", "6.16": "",
	} {
		if got := newest(packages, series); got != want {
			t.Errorf("newest of %s is %q, want %q", series, got, want)
		}
	}
}
