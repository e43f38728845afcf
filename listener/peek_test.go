package listener

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// hello gives the bytes of a ClientHello.
func helloOf(t *testing.T, conf *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	go func() {
		_ = tls.Client(theirs, conf).Handshake()
		theirs.Close()
	}()
	b := make([]byte, 16<<10)
	n, err := ours.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func accepted(t *testing.T) (client *net.TCPConn, c *flow.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client = dial(t, l.Addr()).(*net.TCPConn)
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return client, &flow.Conn{Conn: s, Socket: s.(*net.TCPConn)}
}

func TestPeekHello(t *testing.T) {
	hello := helloOf(t, &tls.Config{ServerName: "Peek.example", NextProtos: []string{"h2"},
		CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}})
	tests := map[string]struct {
		send  []byte
		step  int
		close bool
		name  string
		wait  time.Duration
		err   error
	}{
		"at once":          {send: hello, step: len(hello), name: "peek.example"},
		"in segments":      {send: hello, step: 400, name: "peek.example"},
		"byte by byte":     {send: hello, step: 1, name: "peek.example"},
		"data behind":      {send: append(slices.Clone(hello), "data"...), step: 1 << 10, name: "peek.example"},
		"no tls":           {send: []byte("SSH-2.0-x\r\n"), step: 20},
		"nothing":          {close: true},
		"ends in it":       {send: hello[:700], step: 100, close: true},
		"silent":           {wait: 50 * time.Millisecond, err: os.ErrDeadlineExceeded},
		"stops in the way": {send: hello[:700], step: 700, wait: 50 * time.Millisecond, err: os.ErrDeadlineExceeded},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, c := accepted(t)
			go func() {
				for p := range slices.Chunk(tc.send, max(tc.step, 1)) {
					client.Write(p)
				}
				if tc.close {
					client.CloseWrite()
				}
			}()
			if err := PeekHello(c, tc.wait); err != tc.err && !(tc.err != nil && os.IsTimeout(err)) {
				t.Fatalf("error %v, want %v", err, tc.err)
			}
			got := ""
			if c.Hello != nil {
				got = c.Hello.ServerName
			}
			if got != tc.name {
				t.Errorf("server name %q, want %q", got, tc.name)
			}
			client.CloseWrite()
			if all, err := io.ReadAll(c); err != nil || !bytes.Equal(all, tc.send) {
				t.Errorf("the stream has %d bytes, %v; want the %d that were sent", len(all), err, len(tc.send))
			}
		})
	}
}

// TestPeekDoesNotSpin leaves a part of a hello lying in the socket.
func TestPeekDoesNotSpin(t *testing.T) {
	client, c := accepted(t)
	client.Write(helloOf(t, &tls.Config{ServerName: "a.example"})[:50])
	before := cpuTime()
	if err := PeekHello(c, 400*time.Millisecond); !os.IsTimeout(err) {
		t.Errorf("error %v, want a timeout", err)
	}
	if used := cpuTime() - before; used > 200*time.Millisecond {
		t.Errorf("%v of CPU time while waiting", used)
	}
}
