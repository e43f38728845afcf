package tunnel

import (
	"sync"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener/sock"
)

const (
	// pipeSize is asked for, not insisted on.
	pipeSize = 256 << 10
	// maxPipes bounds the drained pipes kept for the next bulk stream; each is two
	// descriptors and no pages.
	maxPipes = 64
	// bulkMin is the least that a splice must move for its stream to stay bulk:
	// below it the copy is cheaper than the detour through a pipe.
	bulkMin = 8 << 10
)

// pipe is a pair of descriptors that splice moves pages through.
type pipe struct{ r, w, size int }

var pipes struct {
	sync.Mutex
	free []*pipe
}

func takePipe() *pipe {
	pipes.Lock()
	defer pipes.Unlock()
	if n := len(pipes.free); n > 0 {
		p := pipes.free[n-1]
		pipes.free = pipes.free[:n-1]
		return p
	}
	var fds [2]int
	if unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return nil // out of descriptors: the stream is copied instead
	}
	size, err := unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	if err != nil {
		size = 64 << 10
	}
	return &pipe{fds[0], fds[1], size}
}

// putPipe takes back a drained pipe.
func putPipe(p *pipe) {
	pipes.Lock()
	if len(pipes.free) < maxPipes {
		pipes.free = append(pipes.free, p)
		p = nil
	}
	pipes.Unlock()
	if p != nil {
		closePipe(p)
	}
}

func closePipe(p *pipe) {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// spliceOnce moves one pipe full.
func (d *direction) spliceOnce(fd uintptr) (more, leave bool) {
	r := &d.raw
	if r.pipe == nil {
		if r.pipe = takePipe(); r.pipe == nil {
			r.bulk = false
			return true, false
		}
	}
	n, err := splice(int(fd), r.pipe.w, r.pipe.size)
	switch {
	case n > 0:
		d.s.touch()
		r.inPipe, r.bulk = n, n >= bulkMin
		return true, !d.tryOutput()
	case err == nil:
		d.ended()
		return false, true
	case err == unix.EAGAIN:
		d.dropPipe()
		return false, false
	case err == unix.EINVAL || err == unix.ENOSYS:
		r.noSplice = true
		d.dropPipe()
		return true, false
	default:
		d.fail(d.from, err)
		return false, true
	}
}

// into moves up to n bytes from the pipe to a socket.
func (p *pipe) into(fd uintptr, n int) (int, error) {
	n, err := splice(p.r, int(fd), n)
	if err == unix.EAGAIN {
		err = sock.ErrAgain
	}
	return n, err
}

// dropPipe gives the pipe back, or closes it if bytes are left in it.
func (d *direction) dropPipe() {
	p := d.raw.pipe
	if p == nil {
		return
	}
	left := d.raw.inPipe
	d.raw.pipe, d.raw.inPipe = nil, 0
	if left > 0 {
		closePipe(p)
		return
	}
	putPipe(p)
}

// splice moves up to n bytes, giving (0, nil) at the end of the stream. Never
// with SPLICE_F_MORE, which would hold the last bytes back for 200 ms.
func splice(from, to, n int) (int, error) {
	for {
		m, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if err != unix.EINTR {
			return max(int(m), 0), err
		}
	}
}
