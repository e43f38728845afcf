package http2

import (
	"runtime"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// flush writes what is kept back, unless somebody is at it, who then takes it
// along. c.mu is held, and let go of while writing.
func (c *conn) flush() {
	if c.writing {
		return
	}
	c.writing = true
	if c.running > 1 {
		// Exchanges that can run now add their answers: one write for all.
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	for len(c.out) > 0 && c.failed == nil {
		b := c.out
		c.out = c.spare[:0]
		c.outGen++
		// Progress within the stall timeout counts, and there is never more to
		// write at a time than a slow client takes in it.
		stall := int64(c.limits.Stall)
		if now := flow.Now(); stall > 0 && c.writeBy < now+stall {
			c.writeBy = now + stall + int64(time.Second)
			_ = c.fc.SetWriteDeadline(flow.Time(c.writeBy))
		}
		c.mu.Unlock()
		_, err := c.fc.Write(b)
		c.mu.Lock()
		c.spare = b[:0]
		if cap(b) > 2*outLimit {
			c.spare = nil
		}
		if err != nil {
			c.break_(err)
			c.wake()
			break
		}
		c.unblock()
	}
	c.writing = false
	c.written.Broadcast()
}

// kick has what is kept back written by another goroutine: the reader must not
// wait for a client that reads nothing before it has written. c.mu is held.
func (c *conn) kick() {
	if c.writing || len(c.out) == 0 || c.failed != nil {
		return
	}
	c.workers.All.Add(1)
	go func() {
		defer c.workers.All.Done()
		c.mu.Lock()
		c.flush()
		c.mu.Unlock()
	}()
}

// unblock wakes streams that wait for room in the connection's window or in the
// buffer: in the order in which they came, and no more than can use it.
func (c *conn) unblock() {
	n := 0
	for room := min(c.sendWindow, int64(outLimit-len(c.out))); room > 0 && n < len(c.blocked); n++ {
		s := c.blocked[n]
		s.queued = false
		s.cond.Broadcast()
		room -= min(max(s.window, 1), h2.MaxFrame)
	}
	c.blocked = append(c.blocked[:0], c.blocked[n:]...)
}

// room waits until the buffer takes more; c.mu is held.
func (s *stream) room() error {
	for {
		if err := s.dead(); err != nil {
			return err
		}
		if len(s.c.out) < outLimit {
			return nil
		}
		if !s.c.writing {
			s.c.flush()
			continue
		}
		if err := s.await(true); err != nil {
			return err
		}
	}
}

// sendData sends p as far as windows allow, waiting where they do not.
// c.mu is held.
func (s *stream) sendData(p []byte) (sent int, err error) {
	c := s.c
	s.writeBy = s.until()
	for sent < len(p) {
		if err := s.room(); err != nil {
			return sent, err
		}
		n := min(int64(len(p)-sent), s.window, c.sendWindow, h2.MaxFrame)
		if n <= 0 {
			if !c.writing && len(c.out) > 0 {
				c.flush() // what is kept back must not be waited for
				continue
			}
			if err := s.await(s.window > 0); err != nil {
				return sent, err
			}
			continue
		}
		s.mark()
		c.out = h2.AppendFrame(c.out, int(n), h2.TypeData, 0, s.id)
		c.out = append(c.out, p[sent:sent+int(n)]...)
		s.window -= n
		c.sendWindow -= n
		s.sent += h2.FrameHead + n
		sent += int(n)
		c.budget.Sent.Add(n)
		s.writeBy = s.until()
	}
	return sent, nil
}

// mark notes where the stream's last frame is, so that it can be made the last.
func (s *stream) mark() { s.lastAt, s.lastGen = len(s.c.out), s.c.outGen }

// endStream ends our side: by the last frame, if it has not left. c.mu is held.
func (s *stream) endStream() {
	c := s.c
	if s.lastGen == c.outGen && s.lastAt < len(c.out) {
		c.out[s.lastAt+4] |= h2.FlagEndStream
	} else {
		c.out = h2.AppendFrame(c.out, 0, h2.TypeData, h2.FlagEndStream, s.id)
		s.sent += h2.FrameHead
	}
	s.localEnd()
}

// sendHead appends the head block that build makes, as HEADERS and, where it
// is long, CONTINUATION. c.mu is held.
func (s *stream) sendHead(flags byte, build func(s *stream, b []byte) []byte) {
	c := s.c
	s.mark()
	start := len(c.out)
	c.out = h2.AppendFrame(c.out, 0, h2.TypeHeaders, flags|h2.FlagEndHeaders, s.id)
	if !c.greetedBack {
		// RFC 7541 §4.2: we use no table, whatever size the client allows,
		// now or later.
		c.greetedBack = true
		c.out = append(c.out, 0x20)
	}
	c.out = h2.EndBlock(build(s, c.out), start)
	s.sent += int64(len(c.out) - start)
}
