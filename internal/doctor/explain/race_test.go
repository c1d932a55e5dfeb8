//go:build race

package explain

func init() { million = 50_000 } // the detector makes each byte dear
