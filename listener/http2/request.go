package http2

import (
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// request makes the exchange's request of a whole head, or a fault. c.mu is held.
func (s *stream) request(b *block) {
	h, x := &s.head, &s.x
	x.Begin(&s.fc, s)
	r := &x.Record
	r.Start, r.Client, r.Local, r.ConnID, r.TLS = time.Now(), s.fc.Client, s.fc.Local, s.fc.ID, s.fc.TLS != nil
	r.Timings.Accept, r.Timings.FirstByte = flow.At(s.fc.Accepted), flow.At(r.Start)
	r.Timings.Head = r.Timings.FirstByte
	r.Version = "HTTP/2.0"
	x.Req.Major, x.Req.Minor = 2, 0
	s.remoteEnded = b.end
	h.Request(x, b.end)
	if s.fault = h.Err; s.fault == nil {
		s.length = h.Length
	}
}
