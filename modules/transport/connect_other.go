//go:build !linux

package transport

import (
	"errors"
	"syscall"
)

// transparent is Linux's.
func transparent(string, string, syscall.RawConn) error {
	return errors.New("`source client` needs Linux")
}
