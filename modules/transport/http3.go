package transport

import (
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// quic carries an exchange over an HTTP/3 connection; what may be sent again is, as
// by shared.
func (t *HTTP) quic(x *flow.Exchange, s *upstream.Server) *flow.Error {
	for try := 0; ; try++ {
		st, fault := t.strand(x, s)
		if fault != nil {
			return fault
		}
		x.Record.Fresh = st.first
		if x.Record.Fresh || x.Record.Timings.Connected == 0 {
			x.Record.Timings.Connected = flow.Now()
		}
		if fault = st.exchange(s.Dial); fault == nil {
			return nil
		}
		if try == again || !fault.Stale || !Rewind(x) {
			return fault
		}
	}
}

// strand opens a stream on a connection that has room for it, or on a new one.
func (t *HTTP) strand(x *flow.Exchange, s *upstream.Server) (*strand, *flow.Error) {
	set, who := t.Idle(s), callerOf(x, s)
	for range maxTurns {
		for _, c := range set.quic.all() {
			if c.label != who.label {
				continue
			}
			if st, fault := c.take(x, s); st != nil || fault != nil {
				return st, fault
			}
		}
		c, fault := set.quic.join(who.label, func() (*line, *flow.Error) { return set.dialQUIC(s, &who) })
		if fault != nil {
			return nil, fault
		}
		if st, fault := c.take(x, s); st != nil || fault != nil {
			return st, fault
		}
	}
	return nil, noStreams()
}
