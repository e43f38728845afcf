package file

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// birth tells how long an open file is, in bytes, and since when there is such a file.
// One without a date of birth (statx(2), STATX_BTIME) counts from its last change.
func birth(fd int) (size int64, born time.Time, err error) {
	var st unix.Statx_t
	err = unix.Statx(fd, "", unix.AT_EMPTY_PATH, unix.STATX_SIZE|unix.STATX_BTIME|unix.STATX_MTIME, &st)
	if err != nil {
		return 0, time.Time{}, os.NewSyscallError("statx", err)
	}
	at := st.Btime
	if st.Mask&unix.STATX_BTIME == 0 {
		at = st.Mtime
	}
	return int64(st.Size), time.Unix(at.Sec, int64(at.Nsec)), nil
}
