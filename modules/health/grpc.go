package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var grpcModule = Module{
	Spec: spec.Word{
		Name: "grpc",
		Doc:  "The server is well if the standard health service says SERVING",
		Long: "The probe calls `grpc.health.v1.Health/Check` over HTTP/2 without TLS (by prior knowledge), or with the option `tls` over TLS. " +
			"See the gRPC Health Checking Protocol. One connection is opened for each probe.",
		Example: "health grpc service shop.Cart",
		Options: []spec.Word{
			{Name: "service", Doc: "the service to ask after (else: the server as a whole)",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a service's full name"}}},
			{Name: "host", Doc: "the authority to ask for, with `tls` the server name (SNI) as well (else: the server's address)",
				Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a host name"}}},
			tlsOption,
		},
	},
	New: func(n *config.Node) (Probe, error) {
		p := &grpcProbe{host: n.OptionText("host")}
		if !visible(p.host) {
			return nil, fmt.Errorf("%q is no host", p.host)
		}
		if n.Has("tls") {
			p.tls = tlsConfig(hostOnly(p.host), "h2")
		}
		// HealthCheckRequest{service = 1} in a message without compression.
		service := n.OptionText("service")
		m := []byte{0x0a}
		m = append(binary.AppendUvarint(m, uint64(len(service))), service...)
		if service == "" {
			m = nil
		}
		p.message = append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m))), m...)
		if len(p.message) > 16<<10 {
			return nil, fmt.Errorf("the name of the service is too long")
		}
		return p, nil
	},
}

type grpcProbe struct {
	host    string
	message []byte
	tls     *tls.Config // nil: in clear
}

func (p *grpcProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	scheme := "http"
	if p.tls != nil {
		scheme = "https"
		if _, err := s.secure(ctx, p.tls); err != nil {
			return answerFailed(ctx, "Layer6", err)
		}
	}
	authority := p.host
	if authority == "" {
		authority = t.Address
	}
	call := &grpcCall{framer: http2.NewFramer(s.Conn, s.in), status: -1}
	call.framer.SetMaxReadFrameSize(16 << 10)
	call.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	call.framer.MaxHeaderListSize = 16 << 10
	if err := call.ask(s, scheme, authority, p.message); err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	for !call.done {
		if err := call.next(); err != nil {
			return answerFailed(ctx, "Layer7", err)
		}
	}
	return call.result()
}

// grpcCall is one unary call on a connection of its own.
type grpcCall struct {
	framer  *http2.Framer
	http    string // :status
	status  int    // grpc-status, -1: none yet
	message string // grpc-message
	body    []byte
	done    bool
}

// ask sends preface, settings and the request (RFC 9113 §3.4; gRPC over HTTP2,
// "Requests"). The stream is the connection's first, 1.
func (c *grpcCall) ask(s *session, scheme, authority string, message []byte) error {
	if err := s.say(http2.ClientPreface); err != nil {
		return err
	}
	if err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0}); err != nil {
		return err
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", scheme}, {":path", "/grpc.health.v1.Health/Check"}, {":authority", authority},
		{"te", "trailers"}, {"content-type", "application/grpc"}, {"user-agent", "loadstar-health"},
	} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
	if err != nil {
		return err
	}
	return c.framer.WriteData(1, true, message)
}

// maxMessage bounds the answer's message; the one that is wanted has 7 bytes.
const maxMessage = 1024

// next reads one frame. The number of frames is bounded by the session's bytes.
func (c *grpcCall) next() error {
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
		if len(c.body)+len(f.Data()) <= maxMessage {
			c.body = append(c.body, f.Data()...)
		}
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

func (c *grpcCall) headers(f *http2.MetaHeadersFrame) {
	for _, h := range f.Fields {
		switch h.Name {
		case ":status":
			c.http = h.Value
		case "grpc-status":
			if n, err := strconv.Atoi(h.Value); err == nil && n >= 0 {
				c.status = n
			}
		case "grpc-message":
			c.message = h.Value
		}
	}
}

// servingStatus are the values of HealthCheckResponse.ServingStatus.
var servingStatus = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

func (c *grpcCall) result() (Result, error) {
	switch {
	case c.http != "200":
		return failed("Layer7 invalid response", 0, "HTTP status "+c.http)
	case c.status < 0:
		return failed("Layer7 invalid response", 0, "no grpc-status")
	case c.status > 0:
		return failed("Layer7 wrong status", c.status, "gRPC status "+strconv.Itoa(c.status)+" "+c.message)
	}
	n, err := serving(c.body)
	if err != nil {
		return failed("Layer7 invalid response", 0, err.Error())
	}
	if n != 1 {
		return failed("Layer7 wrong status", 0, servingStatus[n])
	}
	return passed("Layer7 check passed", 0, servingStatus[n]), nil
}

// serving reads a HealthCheckResponse: field 1, a varint. Other fields are passed
// over, as protobuf wants it.
func serving(b []byte) (status uint64, err error) {
	if len(b) < 5 || b[0] != 0 || int(binary.BigEndian.Uint32(b[1:])) != len(b)-5 {
		return 0, fmt.Errorf("no message of gRPC")
	}
	for b = b[5:]; len(b) > 0; {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return 0, io.ErrUnexpectedEOF
		}
		b = b[n:]
		v, n := binary.Uvarint(b)
		switch key & 7 {
		case 0:
		case 2:
			if n > 0 && v <= uint64(len(b)-n) {
				n += int(v)
			} else {
				n = 0
			}
		case 1:
			n = 8
		case 5:
			n = 4
		default:
			n = 0
		}
		if n <= 0 || n > len(b) {
			return 0, io.ErrUnexpectedEOF
		}
		if key == 1<<3 {
			status = v
		}
		b = b[n:]
	}
	if status >= uint64(len(servingStatus)) {
		return 0, fmt.Errorf("unknown serving status %d", status)
	}
	return status, nil
}
