package listener

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/sock"
	"github.com/loadstar-lb/loadstar/listener/wire/starttls"
)

// errClear is what a client that begins in clear is refused with where TLS is
// terminated.
var errClear = errors.New("the client asks for no TLS")

// maxRequests bounds what a client may ask for before TLS: encryption by GSSAPI,
// which is refused, and then TLS.
const maxRequests = 2

// startTLS answers a client that asks for TLS, so that its ClientHello comes next.
// A server cannot be asked yet: who it is may depend on that hello. Where TLS passes
// through, who begins in clear goes on as he is.
func (c *conn) startTLS(b *flow.Binding) error {
	nc := c.bare()
	rc := sock.Raw(nc)
	if rc == nil {
		return errNoSocket
	}
	c.StartTLS = b.StartTLS
	if err := nc.SetDeadline(c.Accepted.Add(waitFor(b.Limits.Handshake))); err != nil {
		return err
	}
	for range maxRequests {
		asks := starttls.NeedMore
		seen := false
		p := peek{judge: func(b []byte) (bool, int) {
			seen = true
			asks = starttls.Postgres(b)
			return asks != starttls.NeedMore, len(b) + 1
		}}
		err := p.wait(rc)
		switch {
		case err != nil:
			return err
		case !seen:
			return io.EOF
		case asks == starttls.TLS:
			c.Asked = true
			return answered(nc, starttls.Yes)
		case asks == starttls.GSS:
			if err := answered(nc, starttls.No); err != nil {
				return err
			}
			continue
		case asks != starttls.Hello && b.TLS != nil:
			_ = nc.SetDeadline(time.Now().Add(time.Second))
			_, _ = nc.Write(starttls.PostgresTLSOnly)
			drainBriefly(nc)
			return errClear
		}
		return nc.SetDeadline(time.Time{})
	}
	return errClear
}

// answered takes a request off and answers it.
func answered(nc net.Conn, with byte) error {
	var request [starttls.RequestBytes]byte
	if _, err := io.ReadFull(nc, request[:]); err != nil {
		return err
	}
	if _, err := nc.Write([]byte{with}); err != nil {
		return err
	}
	if with == starttls.No {
		return nil // another request follows, within the same time
	}
	return nc.SetDeadline(time.Time{})
}
