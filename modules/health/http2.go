package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

const (
	// maxBody bounds the body of a request, in bytes: what a server takes before it
	// has said anything (RFC 9113 §6.9.2).
	maxBody = 65535
	// frameSize is the longest frame that everybody takes, in bytes (RFC 9113 §4.2).
	frameSize = 16 << 10
)

var errLongBody = errors.New("the body is longer than HTTP/2 takes at once")

// secureFor does the handshake, if there is to be one, and tells whether the server
// is to be spoken to in HTTP/2: as the exchanges' connections are, so that the probe
// finds what they would find. own is the probe's own way of TLS, nil: it has none.
func (s *session) secureFor(ctx context.Context, t *Target, own *tls.Config) (h2 bool, err error) {
	cfg := own
	if cfg == nil {
		cfg = t.TLS // as the exchanges' connections, certificate and all
	}
	if cfg == nil {
		return t.Protocol == upstream.H2, nil
	}
	switch t.Protocol {
	case upstream.H2:
		cfg = cfg.Clone()
		cfg.NextProtos = []string{"h2"}
	case upstream.Auto:
		cfg = cfg.Clone()
		cfg.NextProtos = []string{"h2", "http/1.1"}
	}
	c, err := s.secure(ctx, cfg)
	if err != nil {
		return false, err
	}
	h2 = c.ConnectionState().NegotiatedProtocol == "h2"
	if !h2 && t.Protocol == upstream.H2 {
		return false, errors.New("no HTTP/2 was agreed on")
	}
	return h2, nil
}

// scheme gives the session's ":scheme".
func (s *session) scheme() string {
	if _, ok := s.Conn.(*tls.Conn); ok {
		return "https"
	}
	return "http"
}

// authority gives the session's ":authority": a host that was named, or else the
// server's address.
func (s *session) authority(host string, t *Target) string {
	if host == "" && t.Network == "unix" {
		return "localhost" // a path is no authority
	}
	if host == "" {
		return t.Address
	}
	return host
}

// call is one request in HTTP/2 on a connection of its own, and its answer.
type call struct {
	framer *http2.Framer
	status string // :status of the final answer
	head   head   // its fields, and those of trailers
	body   []byte // as much of it as the session gives
	done   bool   // the answer is over
}

// ask sends preface, settings and the request (RFC 9113 §3.4). fields begin with the
// pseudo header. The stream is the connection's first, 1.
func (s *session) ask(fields [][2]string, body []byte) (*call, error) {
	c := &call{framer: http2.NewFramer(s.Conn, s.in)}
	c.framer.SetMaxReadFrameSize(frameSize)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = 16 << 10
	if len(body) > maxBody {
		return nil, errLongBody
	}
	if err := s.say(http2.ClientPreface); err != nil {
		return nil, err
	}
	// With a window above maxAnswer no server ever waits for a wider one.
	err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 2 * maxAnswer})
	if err != nil {
		return nil, err
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return nil, err
		}
	}
	if err := c.send(block.Bytes(), body); err != nil {
		return nil, err
	}
	return c, nil
}

// send writes the request, cut into frames that everybody takes.
func (c *call) send(block, body []byte) error {
	first := block[:min(len(block), frameSize)]
	block = block[len(first):]
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: 1, BlockFragment: first, EndHeaders: len(block) == 0, EndStream: len(body) == 0,
	})
	for err == nil && len(block) > 0 {
		part := block[:min(len(block), frameSize)]
		block = block[len(part):]
		err = c.framer.WriteContinuation(1, len(block) == 0, part)
	}
	for err == nil && len(body) > 0 {
		part := body[:min(len(body), frameSize)]
		body = body[len(part):]
		err = c.framer.WriteData(1, len(body) == 0, part)
	}
	return err
}

// next reads one frame. The number of frames is bounded by the session's bytes.
func (c *call) next() error {
	f, err := c.framer.ReadFrame()
	if err != nil {
		return ended(err)
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if !f.IsAck() {
			return c.framer.WriteSettingsAck()
		}
	case *http2.PingFrame:
		if !f.IsAck() {
			return c.framer.WritePing(true, f.Data)
		}
	case *http2.MetaHeadersFrame:
		c.headers(f)
		c.done = c.done || f.StreamEnded()
	case *http2.DataFrame:
		c.body = append(c.body, f.Data()...)
		c.done = c.done || f.StreamEnded()
	case *http2.RSTStreamFrame:
		return fmt.Errorf("stream reset: %s", f.ErrCode)
	case *http2.GoAwayFrame:
		if f.LastStreamID < 1 || f.ErrCode != http2.ErrCodeNo {
			return fmt.Errorf("connection refused by GOAWAY: %s", f.ErrCode)
		}
	}
	return nil
}

// headers takes the head of an answer, or its trailers; interim answers (1xx) are
// passed over.
func (c *call) headers(f *http2.MetaHeadersFrame) {
	status := f.PseudoValue("status")
	if len(status) == 3 && status[0] == '1' {
		return
	}
	if status != "" {
		c.status = status
	}
	for _, h := range f.RegularFields() {
		if len(c.head.fields) < maxFields {
			c.head.fields = append(c.head.fields, [2]string{h.Name, h.Value})
		}
	}
}
