package transport

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// strandTunnel is a stream as a tunnel's server side (RFC 9114 §4.4): bytes are in DATA
// frames, either end of the stream is that of a half, and a reset with
// H3_CONNECT_ERROR stands for TCP's. One goroutine may read and others write at a time.
type strandTunnel struct {
	s    *strand
	body strandBody
	over sync.Once
	mu   sync.Mutex
	shut bool // our side has ended; guarded by mu
}

func (t *strandTunnel) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if err != nil && isLate(err) {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}

// Write sends a DATA frame for each piece of at most 32 KiB.
func (t *strandTunnel) Write(p []byte) (n int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return 0, net.ErrClosed
	}
	s := t.s
	for n < len(p) {
		part := p[n:min(len(p), n+strandLarge)]
		s.out = s.out[:0]
		s.appendData(part)
		if _, err := s.q.Write(s.out); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = os.ErrDeadlineExceeded
			}
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

// CloseWrite ends our side.
func (t *strandTunnel) CloseWrite() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.shut {
		return nil
	}
	t.shut = true
	return t.s.q.Close()
}

// Close ends the stream, cutting what has not ended.
func (t *strandTunnel) Close() error {
	t.over.Do(func() {
		s := t.s
		_ = s.q.SetDeadline(time.Unix(1, 0)) // wakes who reads or writes
		t.mu.Lock()
		if !t.shut {
			t.shut = true
			s.q.CancelWrite(quic.StreamErrorCode(wire.CodeConnect))
		}
		t.mu.Unlock()
		s.q.CancelRead(quic.StreamErrorCode(wire.CodeConnect))
		s.c.remove(s)
		// A reader may still be waking up: the stream is not for others.
	})
	return nil
}

// SetDeadline sets both.
func (t *strandTunnel) SetDeadline(at time.Time) error { return t.s.q.SetDeadline(at) }

// SetReadDeadline sets when reads end; the zero time is never.
func (t *strandTunnel) SetReadDeadline(at time.Time) error { return t.s.q.SetReadDeadline(at) }

// SetWriteDeadline sets when writes end.
func (t *strandTunnel) SetWriteDeadline(at time.Time) error { return t.s.q.SetWriteDeadline(at) }
