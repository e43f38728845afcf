package main_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// grpcServer is gRPC's own interop server, which knows its health as well; it gives
// its port.
func grpcServer(t *testing.T, opts ...grpc.ServerOption) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	testpb.RegisterTestServiceServer(s, interop.NewTestServer())
	healthpb.RegisterHealthServer(s, health.NewServer())
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return l.Addr().(*net.TCPAddr).Port
}

func grpcDial(t *testing.T, port int, secure bool) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
	}
	cc, err := grpc.NewClient("passthrough:///"+rig.Addr(port), grpc.WithTransportCredentials(creds), grpc.WithAuthority("localhost"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// serverCredentials are a certificate of the test's own.
func serverCredentials(t *testing.T) grpc.ServerOption {
	t.Helper()
	dir := t.TempDir()
	crt, key := filepath.Join(dir, "s.crt"), filepath.Join(dir, "s.key")
	newIssuer(t).pair(t, crt, key, "localhost")
	c, err := tls.LoadX509KeyPair(crt, key)
	if err != nil {
		t.Fatal(err)
	}
	return grpc.Creds(credentials.NewServerTLSFromCert(&c))
}

// gRPC's own client and server talk through Loadstar: every case of its interop
// tests that needs no account of a cloud's.
func TestGRPCInterop(t *testing.T) {
	clear, secure := grpcServer(t), grpcServer(t, serverCredentials(t))
	p := e2e.Ports(t, 2)
	e2e.Run(t, fmt.Sprintf(`http://localhost:%d {
	proxy clear
}
https://localhost:%d {
	tls internal
	proxy secure
}
pool clear {
	protocol h2c
	health grpc interval 200ms
	server one 127.0.0.1:%d
}
pool secure {
	tls verify off
	protocol auto
	server one 127.0.0.1:%d
}
`, p[0], p[1], clear, secure), p...)
	for i, name := range []string{"clear", "tls"} {
		cc := grpcDial(t, p[i], name == "tls")
		tc := testpb.NewTestServiceClient(cc)
		ctx, cancel := context.WithTimeout(t.Context(), 2*e2e.Patience)
		defer cancel()
		for _, c := range []struct {
			name string
			do   func(context.Context, testpb.TestServiceClient, ...grpc.CallOption)
		}{
			{"empty_unary", interop.DoEmptyUnaryCall},
			{"large_unary", interop.DoLargeUnaryCall},
			{"client_streaming", interop.DoClientStreaming},
			{"server_streaming", interop.DoServerStreaming},
			{"ping_pong", interop.DoPingPong},
			{"empty_stream", interop.DoEmptyStream},
			{"timeout_on_sleeping_server", interop.DoTimeoutOnSleepingServer},
			{"cancel_after_begin", interop.DoCancelAfterBegin},
			{"cancel_after_first_response", interop.DoCancelAfterFirstResponse},
			{"custom_metadata", interop.DoCustomMetadata},
			{"status_code_and_message", interop.DoStatusCodeAndMessage},
			{"special_status_message", interop.DoSpecialStatusMessage},
		} {
			t.Run(name+"/"+c.name, func(*testing.T) { c.do(ctx, tc, grpc.WaitForReady(true)) })
		}
		t.Run(name+"/unimplemented_method", func(*testing.T) { interop.DoUnimplementedMethod(ctx, cc) })
		t.Run(name+"/unimplemented_service", func(*testing.T) {
			interop.DoUnimplementedService(ctx, testpb.NewUnimplementedServiceClient(cc))
		})
	}
}

// What Loadstar has to say itself, it says in gRPC's words.
func TestGRPCErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	slow := grpcServer(t)
	dead := e2e.Ports(t, 1)[0]
	p := e2e.Ports(t, 4)
	e2e.Run(t, fmt.Sprintf(`http://localhost:%d {
	proxy dead
}
http://localhost:%d {
	proxy slow
}
http://localhost:%d {
	deny /*
}
http://localhost:%d {
	proxy silent
}
pool dead {
	protocol h2c
	retry 0
	server one 127.0.0.1:%d
}
pool slow {
	protocol h2c
	timeout first_byte 200ms
	server one 127.0.0.1:%d
}
pool silent {
	protocol h2c
	retry 0
	timeout connect 200ms
	server one %s
}
`, p[0], p[1], p[2], p[3], dead, slow, l.Addr()), p...)
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	call := func(port int) error {
		_, err := testpb.NewTestServiceClient(grpcDial(t, port, false)).EmptyCall(ctx, &testpb.Empty{})
		return err
	}
	for i, want := range []codes.Code{codes.Unavailable, codes.OK, codes.PermissionDenied, codes.Unavailable} {
		if err := call(p[i]); status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	// A server that is too slow for the pool's first_byte.
	stream, err := testpb.NewTestServiceClient(grpcDial(t, p[1], false)).StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{
		ResponseParameters: []*testpb.ResponseParameters{{Size: 1, IntervalUs: int32(10 * time.Second / time.Microsecond)}},
	})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "504") {
		t.Errorf("%v, want DEADLINE_EXCEEDED for a 504", err)
	}
}

func TestExampleGRPC(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(examplesDir, "grpc.lb"))
	if err != nil {
		t.Fatal(err)
	}
	text, port := string(b), e2e.Ports(t, 1)[0]
	for from, to := range map[string]int{
		":8080 ": port, "10.0.0.1:50051": grpcServer(t), "10.0.0.2:50051": grpcServer(t),
		"10.0.1.1:443": grpcServer(t, serverCredentials(t)), "10.0.1.2:443": grpcServer(t, serverCredentials(t)),
	} {
		if from == ":8080 " {
			text = strings.ReplaceAll(text, from, fmt.Sprintf(":%d ", to))
		} else {
			text = strings.ReplaceAll(text, from, rig.Addr(to))
		}
	}
	text = strings.ReplaceAll(text, "tls name orders.internal", "tls verify off")
	e2e.Run(t, text, port)
	cc := grpcDial(t, port, false)
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	for range 4 {
		if r, err := healthpb.NewHealthClient(cc).Check(ctx, &healthpb.HealthCheckRequest{}); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%v %v", r, err)
		}
		// The servers behind /shop.Orders/ have no such service, and say so themselves.
		err := cc.Invoke(ctx, "/shop.Orders/List", &testpb.Empty{}, &testpb.Empty{})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "shop.Orders") {
			t.Errorf("%v", err)
		}
	}
}
