package health

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

var grpcModule = Module{
	Spec: spec.Word{
		Name: "grpc",
		Doc:  "The server is well if the standard health service says SERVING",
		Long: "The probe calls `grpc.health.v1.Health/Check` over HTTP/2: by TLS where the server is spoken to by TLS, as exchanges do, or with " +
			"the option `tls`, else in clear (by prior knowledge). See the gRPC Health Checking Protocol. One connection is opened for each probe.",
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
	tls     *tls.Config // nil: as the server is spoken to
}

func (p *grpcProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	s, err := open(ctx, t)
	if err != nil {
		return connectFailed(ctx, err)
	}
	defer s.Close()
	always := *t // gRPC is HTTP/2, whatever else the server is spoken to in
	always.Protocol = upstream.H2
	if _, err := s.secureFor(ctx, &always, p.tls); err != nil {
		return answerFailed(ctx, "Layer6", err)
	}
	c, err := s.ask([][2]string{
		{":method", "POST"}, {":scheme", s.scheme()}, {":path", "/grpc.health.v1.Health/Check"}, {":authority", s.authority(p.host, t)},
		{"te", "trailers"}, {"content-type", "application/grpc"}, {"user-agent", "loadstar-health"},
	}, p.message)
	for err == nil && !c.done {
		err = c.next()
	}
	if err != nil {
		return answerFailed(ctx, "Layer7", err)
	}
	return grpcResult(c)
}

// servingStatus are the values of HealthCheckResponse.ServingStatus.
var servingStatus = []string{"UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"}

func grpcResult(c *call) (Result, error) {
	code, told := c.head.get("grpc-status")
	message, _ := c.head.get("grpc-message")
	status, err := strconv.Atoi(code)
	switch {
	case c.status != "200":
		return failed("Layer7 invalid response", 0, "HTTP status "+c.status)
	case !told || err != nil || status < 0:
		return failed("Layer7 invalid response", 0, "no grpc-status")
	case status > 0:
		return failed("Layer7 wrong status", status, "gRPC status "+strconv.Itoa(status)+" "+message)
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
