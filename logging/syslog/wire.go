package syslog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/logging"
)

// wire is what go-syslog does not speak: RFC 5424 messages, octet counting (RFC 6587
// §3.4.1) and TLS (RFC 5425). It is a logging.Target.
type wire struct {
	network, address string // network: udp, tcp, tls, unix
	frame            frame
	tls              *tls.Config // of tls
	conn             net.Conn    // nil until dialled
	dialling         chan dialled
	socket           identity
	buf              []byte
	ends             []int // where the frame of each line ends in buf
}

// dialled is what became of a dial.
type dialled struct {
	conn net.Conn
	err  error
}

const (
	dialWithin  = 5 * time.Second
	dialPatient = 100 * time.Millisecond // how long one delivery waits for a dial
	writeWithin = 150 * time.Millisecond
	wireBytes   = 64 << 10 // that one write to a stream takes at most
)

var errDialling = errors.New("not connected yet")

// Deliver sends lines, many at once where the connection is a stream.
func (w *wire) Deliver(lines []logging.Line) (int, error) {
	if w.conn != nil && w.stream() && closedByPeer(w.conn) {
		w.hangUp()
	}
	if w.conn == nil {
		if err := w.dial(); err != nil {
			return 0, err
		}
	}
	_ = w.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	if w.stream() {
		return w.pour(lines)
	}
	for i, l := range lines {
		w.buf = w.frame.message(w.buf[:0], l, time.Now())
		_, err := w.conn.Write(w.buf)
		if errors.Is(err, syscall.ECONNREFUSED) {
			// It tells of the datagram before: nobody was there to take it. This
			// one is as good as that was.
			_, err = w.conn.Write(w.buf)
		}
		if err != nil {
			w.frame.sequence--
			if errors.Is(err, syscall.EMSGSIZE) {
				return i, fmt.Errorf("%w: %w", logging.ErrUnwritable, err)
			}
			w.hangUp()
			return i, err
		}
	}
	return len(lines), nil
}

// pour writes lines to a stream. What a broken connection has taken only a part of
// is offered again, whole, to the next one.
func (w *wire) pour(lines []logging.Line) (int, error) {
	w.buf, w.ends = w.buf[:0], w.ends[:0]
	now := time.Now()
	for _, l := range lines {
		w.buf = w.frame.append(w.buf, l, now)
		w.ends = append(w.ends, len(w.buf))
		if len(w.buf) >= wireBytes {
			break
		}
	}
	n, err := w.conn.Write(w.buf)
	whole := 0
	for whole < len(w.ends) && w.ends[whole] <= n {
		whole++
	}
	if err != nil {
		w.frame.sequence -= uint32(len(w.ends) - whole)
		w.hangUp()
	}
	return whole, err
}

func (w *wire) stream() bool { return w.network == "tcp" || w.network == "tls" }

// dial connects in a goroutine of its own, and waits for it but a moment: a
// handshake with a far peer takes longer than a queue may be held up.
func (w *wire) dial() error {
	if w.dialling == nil {
		w.socket = identify(w.paths())
		w.dialling = make(chan dialled, 1)
		go w.connect(w.dialling)
	}
	patience := time.NewTimer(dialPatient)
	defer patience.Stop()
	select {
	case d := <-w.dialling:
		w.dialling, w.conn = nil, d.conn
		return d.err
	case <-patience.C:
		return errDialling
	}
}

// connect touches nothing of w that changes.
func (w *wire) connect(done chan<- dialled) {
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	defer cancel()
	network := w.network
	if w.network == "tls" {
		network = "tcp"
	}
	if w.network == "unix" {
		network = "unixgram"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, w.address)
	if err == nil && w.tls != nil {
		secure := tls.Client(conn, w.tls)
		if err = secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
		}
		conn = secure
	}
	if err != nil {
		done <- dialled{nil, err}
		return
	}
	done <- dialled{conn, nil}
}

// closedByPeer asks the kernel whether a stream has ended: what is written into one
// that has is lost without an error.
func closedByPeer(c net.Conn) bool {
	secure, _ := c.(*tls.Conn)
	if secure != nil {
		c = secure.NetConn()
	}
	s, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	closed, waiting := false, false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		waiting = n > 0
		closed = n == 0 && err == nil || err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	if err != nil || closed || !waiting || secure == nil {
		return err != nil || closed
	}
	// Tickets of TLS 1.3 come unasked, and a close_notify looks the same from here:
	// reading tells them apart.
	_ = secure.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err = secure.Read(make([]byte, 1))
	_ = secure.SetReadDeadline(time.Time{})
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// Check lets go of a unix socket whose name stands for another one now.
func (w *wire) Check() {
	if w.conn != nil && w.network == "unix" && identify(w.paths()) != w.socket {
		w.hangUp()
	}
}

func (w *wire) paths() []string {
	if w.network == "unix" {
		return []string{w.address}
	}
	return nil
}

// Reopen has nothing to do: there is no file.
func (w *wire) Reopen() error { return nil }

func (w *wire) hangUp() {
	_ = w.conn.Close()
	w.conn = nil
}

// Close closes the connection; a dial that still goes on is let go of.
func (w *wire) Close() error {
	if d := w.dialling; d != nil {
		w.dialling = nil
		go func() {
			if r := <-d; r.conn != nil {
				_ = r.conn.Close()
			}
		}()
	}
	if w.conn == nil {
		return nil
	}
	err := w.conn.Close()
	w.conn = nil
	return err
}

// frame writes messages and what stands between them.
type frame struct {
	facility int
	host     string
	tag      string
	rfc5424  bool
	octets   bool
	sequence uint32
	scratch  []byte
}

// append appends a message for a stream: behind its length (RFC 6587 §3.4.1), or
// before a newline (§3.4.2).
func (f *frame) append(dst []byte, l logging.Line, now time.Time) []byte {
	if !f.octets {
		return append(f.message(dst, l, now), '\n')
	}
	f.scratch = f.message(f.scratch[:0], l, now)
	dst = strconv.AppendInt(dst, int64(len(f.scratch)), 10)
	return append(append(dst, ' '), f.scratch...)
}

// message appends one message: RFC 5424 §6, with the number of the line as its
// structured data (§7.3.1), so that the receiver sees what is missing; or RFC 3164
// §4.1.
func (f *frame) message(dst []byte, l logging.Line, now time.Time) []byte {
	dst = strconv.AppendInt(append(dst, '<'), int64(f.facility*8+int(l.Level)), 10)
	f.sequence++
	if !f.rfc5424 {
		dst = now.AppendFormat(append(dst, '>'), time.Stamp)
		dst = append(append(append(dst, ' '), f.host...), ' ')
		dst = append(append(dst, f.tag...), '[')
		dst = strconv.AppendInt(dst, int64(os.Getpid()), 10)
		return append(append(dst, "]: "...), l.Text...)
	}
	dst = now.AppendFormat(append(dst, ">1 "...), "2006-01-02T15:04:05.000000Z07:00")
	dst = append(append(append(dst, ' '), f.host...), ' ')
	dst = append(append(dst, f.tag...), ' ')
	dst = strconv.AppendInt(dst, int64(os.Getpid()), 10)
	dst = append(dst, ` - [meta sequenceId="`...)
	dst = strconv.AppendUint(dst, uint64(f.sequence&0x7fffffff), 10)
	return append(append(dst, `"] `...), l.Text...)
}
