//go:build !linux

package vectormap

import (
	"context"
	"errors"
)

func readBPF(context.Context, Root, Options) (*Map, error) { return nil, errors.ErrUnsupported }
