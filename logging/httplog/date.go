package httplog

import (
	"sync/atomic"
	"time"
)

// dateLayout is the date to the second, in local time: 02/Jan/2006:15:04:05.
const dateLayout = "02/Jan/2006:15:04:05"

// second is one second, written out.
type second struct {
	unix int64
	text [len(dateLayout)]byte
}

// latest is the newest second that was written out. Lines come thousands a second, and
// most begin in the same one; those of older exchanges are written out each time,
// so that they and the new ones do not throw each other out.
var latest atomic.Pointer[second]

// appendDate appends dd/Mon/yyyy:HH:MM:SS.mmm in local time.
func appendDate(dst []byte, t time.Time) []byte {
	unix := t.Unix()
	s := latest.Load()
	if s != nil && s.unix == unix {
		dst = append(dst, s.text[:]...)
	} else {
		n := len(dst)
		dst = t.Local().AppendFormat(dst, dateLayout)
		// A clock that was set back by far must not leave the cache in the future.
		if (s == nil || unix > s.unix || s.unix-unix > 3600) && len(dst)-n == len(dateLayout) {
			fresh := &second{unix: unix}
			copy(fresh.text[:], dst[n:])
			// Whoever else stores now stores a second that is as good.
			latest.Store(fresh)
		}
	}
	ms := t.Nanosecond() / nanosPerMilli
	return append(dst, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
}
