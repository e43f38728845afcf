package listener

import (
	"os"

	"golang.org/x/sys/unix"
)

// modeBeforeBind sets the permissions of a unix socket. The mode of the inode before
// bind is that of the file after it: there is no moment at which others may connect.
func modeBeforeBind(fd int, mode os.FileMode) error { return unix.Fchmod(fd, uint32(mode)) }

func modeAfterBind(string, os.FileMode) error { return nil }
