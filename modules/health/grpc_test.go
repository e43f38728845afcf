package health

import (
	"context"
	"crypto/tls"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpcServer runs gRPC's own server with gRPC's own health service, the oracle.
func grpcServer(t *testing.T, srv healthpb.HealthServer, options ...grpc.ServerOption) *Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(options...)
	if srv != nil {
		healthpb.RegisterHealthServer(s, srv)
	}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return &Target{Network: "tcp", Address: l.Addr().String(), Name: "p/s", Connect: 5 * time.Second}
}

// broken is a health service that answers with an error.
type broken struct {
	healthpb.UnimplementedHealthServer
}

func (broken) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, status.Error(codes.Unavailable, "the \"disk\" is full")
}

func TestGRPCProbe(t *testing.T) {
	srv := grpchealth.NewServer()
	srv.SetServingStatus("shop.Cart", healthpb.HealthCheckResponse_NOT_SERVING)
	srv.SetServingStatus("shop.Stock", healthpb.HealthCheckResponse_SERVING)
	plain := grpcServer(t, srv)
	secure := grpcServer(t, srv, grpc.Creds(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{certificate(t, time.Now().Add(time.Hour))}})))
	bare := grpcServer(t, nil)
	sick := grpcServer(t, broken{})
	for _, c := range []struct {
		name   string
		target *Target
		args   []string
		want   string
	}{
		{"the server", plain, nil, `Layer7 check passed, info: "SERVING"`},
		{"a service", plain, []string{"--service", "shop.Stock"}, `Layer7 check passed, info: "SERVING"`},
		{"a sick service", plain, []string{"--service", "shop.Cart"}, `Layer7 wrong status, info: "NOT_SERVING"`},
		{"an unknown service", plain, []string{"--service", "shop.Bin"}, `Layer7 wrong status, code: 5, info: "gRPC status 5 unknown service"`},
		{"over TLS", secure, []string{"--tls", "--host", "shop.example:443"}, `Layer7 check passed, info: "SERVING"`},
		{"no health service", bare, nil, `Layer7 wrong status, code: 12, info: "gRPC status 12 unknown service grpc.health.v1.Health"`},
		{"an error", sick, nil, `Layer7 wrong status, code: 14, info: "gRPC status 14 the .disk. is full"`},
		{"TLS where none is", plain, []string{"--tls"}, "Layer6 invalid response"},
		{"none where TLS is", secure, nil, "Layer7 invalid response"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			r, _ := probeOf(t, "grpc", c.args...).Probe(ctx, c.target)
			got := r.String()
			if len(c.want) < len(got) && r.Code == 0 && r.Info != "SERVING" && r.Info != "NOT_SERVING" {
				got = r.Reason // what was found instead is the system's word
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	srv.Shutdown()
	if r, err := probeOf(t, "grpc").Probe(t.Context(), plain); err == nil {
		t.Errorf("passed after Shutdown: %s", r)
	}
}

func FuzzServing(f *testing.F) {
	for _, s := range []string{"\x00\x00\x00\x00\x02\x08\x01", "\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x05\x12\x01x\x08\x02", "\x01\x00\x00\x00\x02\x08\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := serving(b); err == nil && n >= uint64(len(servingStatus)) {
			t.Errorf("%x: %d", b, n)
		}
	})
}
