package tunnel

import (
	"io"
	"sync"
	"time"
)

// bufferSize holds the small messages of interactive streams; a read that fills
// it takes the stream for a bulk one.
const bufferSize = 16 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// runCopy moves bytes through a buffer, for streams that are more than a socket
// (TLS, an HTTP/2 stream).
func (d *direction) runCopy() {
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	if !d.armRead() {
		return
	}
	for {
		n, err := d.src.Read(buf[:])
		if n > 0 {
			d.s.touch()
			d.pending = buf[:n]
			if !d.writeCopy() {
				return
			}
		}
		switch {
		case err == nil:
		case err == io.EOF:
			d.ended()
			return
		case timedOut(err):
			if d.s.expired() || !d.armRead() {
				return
			}
		default:
			d.fail(d.from, err)
			return
		}
	}
}

// writeCopy writes what is pending. Unlike for sockets, a write that times out
// cannot always be resumed (TLS), so its deadline is set ahead of it: renewed when
// less than Idle is left of twice as much.
func (d *direction) writeCopy() bool {
	if w, ok := d.dst.(deadliner); ok && d.s.idle > 0 {
		if last := d.s.last.Load(); d.raw.writeBy-last < d.s.idle {
			d.raw.writeBy = last + 2*d.s.idle
			_ = w.SetWriteDeadline(d.s.deadline().Add(time.Duration(d.s.idle)))
			if d.s.stopped() {
				return false
			}
		}
	}
	d.blocked.Store(true)
	n, err := d.dst.Write(d.pending)
	d.blocked.Store(false)
	d.moved += int64(n)
	d.pending = nil
	switch {
	case err == nil:
		d.s.touch()
		return true
	case timedOut(err) && !d.s.stopped():
		d.s.stop(d.to|0x20, ErrIdle)
	default:
		d.fail(d.to, err)
	}
	return false
}
