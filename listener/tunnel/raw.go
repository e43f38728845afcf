package tunnel

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
)

// rawState is what a direction between two sockets keeps.
type rawState struct {
	onReadable, onWritable func(fd uintptr) bool // bound once, not at every call
	bulk                   bool                  // the stream fills buffers: splice it
	noSplice               bool                  // these sockets have none
	wait                   bool                  // output may wait for the poller
	stuck                  bool                  // output has more than the socket took
	failed                 error                 // of the output in progress
	buf                    *[bufferSize]byte     // borrowed while pending lies in it
	pipe                   *pipe                 // borrowed while bytes are in it
	inPipe                 int
	writeBy                int64 // the last write deadline of writeCopy
}

// checkClosed is how often a direction that cannot write looks whether its
// source was closed under it, which the poller tells only to those who read.
const checkClosed = time.Second

func (r *rawState) bind(d *direction) {
	if r.onReadable == nil {
		r.onReadable, r.onWritable = d.readable, d.output
	}
}

// runRaw moves bytes between two sockets. As long as the destination takes what
// comes, all happens inside the callback of one RawConn.Read, which the poller
// enters again whenever bytes arrive: leaving it between two waits would cost a
// failed read before each. Only a stuck output leaves it, because whoever is
// inside keeps the source from being closed.
func (d *direction) runRaw() {
	d.raw.bind(d)
	defer func() { d.giveBack(); d.dropPipe() }()
	if !d.armRead() {
		return
	}
	for {
		err := d.rsrc.Read(d.raw.onReadable)
		switch {
		case err == nil:
			if !d.raw.stuck || !d.finishOutput() {
				return // ended or failed, and said so
			}
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

// readable moves what is there; true leaves the callback, false waits for more.
func (d *direction) readable(fd uintptr) bool {
	for {
		var more, leave bool
		if d.raw.bulk && !d.raw.noSplice {
			more, leave = d.spliceOnce(fd)
		} else {
			more, leave = d.copyOnce(fd)
		}
		if leave || !more {
			return leave
		}
	}
}

// copyOnce moves one buffer. It is called until nothing is left, although the last
// read fails for it: a short read does not tell that the socket is empty, since the
// end of the stream may have come in the same event of the poller as the data. (To
// learn that by TCP_INQ costs as much as the read: measured, no gain.)
func (d *direction) copyOnce(fd uintptr) (more, leave bool) {
	buf := buffers.Get().(*[bufferSize]byte)
	d.raw.buf = buf
	n, err := sock.Read(fd, buf[:])
	if n > 0 {
		d.s.touch()
		d.raw.bulk = n == len(buf)
		d.pending = buf[:n]
		return true, !d.tryOutput()
	}
	d.giveBack()
	switch err {
	case nil:
		d.ended()
		return false, true
	case sock.ErrAgain:
		return false, false
	default:
		d.fail(d.from, err)
		return false, true
	}
}

// tryOutput writes without waiting; false means that it is stuck or failed.
func (d *direction) tryOutput() bool {
	r := &d.raw
	for {
		r.wait, r.stuck, r.failed = false, false, nil
		err := d.rdst.Write(r.onWritable)
		switch {
		case err == nil && r.failed == nil:
			if !r.stuck {
				d.giveBack()
			}
			return !r.stuck
		case err == nil:
			d.fail(d.to, r.failed)
			return false
		case !timedOut(err):
			d.fail(d.to, err)
			return false
		case d.s.expired() || !d.armOutput(): // a deadline left over from the last wait
			return false
		}
	}
}

// finishOutput waits until all is written.
func (d *direction) finishOutput() bool {
	r := &d.raw
	d.blocked.Store(true)
	defer d.blocked.Store(false)
	for d.armOutput() {
		r.wait, r.stuck, r.failed = true, false, nil
		err := d.rdst.Write(r.onWritable)
		switch {
		case err == nil && r.failed == nil:
			d.giveBack()
			return true
		case err == nil:
			d.fail(d.to, r.failed)
			return false
		case !timedOut(err):
			d.fail(d.to, err)
			return false
		case d.s.expired():
			return false
		}
		if err := d.rsrc.Control(func(uintptr) {}); err != nil {
			d.fail(d.from, err)
			return false
		}
	}
	return false
}

// armOutput sets the write deadline to when finishOutput is to look around.
func (d *direction) armOutput() bool {
	by := flow.Now() + int64(checkClosed)
	if d.s.idle > 0 {
		by = min(by, d.s.last.Load()+d.s.idle)
	}
	if c, ok := d.dst.(deadliner); ok {
		_ = c.SetWriteDeadline(flow.EpochTime().Add(time.Duration(by)))
	}
	return !d.s.stopped()
}

// output writes what is pending or in the pipe; false waits until the socket
// takes more.
func (d *direction) output(fd uintptr) bool {
	r := &d.raw
	for len(d.pending) > 0 || r.inPipe > 0 {
		var n int
		var err error
		if len(d.pending) > 0 {
			n, err = sock.Write(fd, d.pending)
			d.pending = d.pending[n:]
		} else {
			n, err = r.pipe.into(fd, r.inPipe)
			r.inPipe -= n
		}
		if err == sock.ErrAgain {
			r.stuck = true
			return !r.wait
		}
		if err != nil {
			r.failed = err
			return true
		}
		d.moved += int64(n)
		if r.wait { // time has passed since the read
			d.s.touch()
		}
	}
	return true
}

// giveBack returns what is borrowed, once nothing is in it or wanted from it.
func (d *direction) giveBack() {
	if buf := d.raw.buf; buf != nil {
		d.raw.buf, d.pending = nil, nil
		buffers.Put(buf)
	}
	if !d.raw.bulk || d.raw.inPipe > 0 {
		d.dropPipe()
	}
}
