//go:build !linux

package vectormap

func unlimit() {}
