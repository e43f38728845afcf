//go:build !linux

package listener

import "os"

// Elsewhere a socket has no mode before it has a name (fchmod(2) fails). To connect
// takes the right to write, which the usual umask leaves to nobody but the owner in
// the moment between.
func modeBeforeBind(int, os.FileMode) error { return nil }

func modeAfterBind(path string, mode os.FileMode) error { return os.Chmod(path, mode) }
