//go:build darwin || freebsd

package file

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// birth tells how long an open file is, in bytes, and since when there is such a file.
// One without a date of birth, as on NFS, counts from its last change.
func birth(fd int) (size int64, born time.Time, err error) {
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err != nil {
		return 0, time.Time{}, os.NewSyscallError("fstat", err)
	}
	at := st.Btim
	if at.Sec <= 0 { // FreeBSD says -1
		at = st.Mtim
	}
	return st.Size, time.Unix(at.Unix()), nil
}
