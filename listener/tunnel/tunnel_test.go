package tunnel

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// half is what every stream here can do.
type half interface {
	net.Conn
	CloseWrite() error
}

// pair gives two ends of one connection over a real socket.
func pair(t testing.TB, network string) (a, b half) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err := net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close(); y.Close() })
	return x.(half), y.(half)
}

// wrapped hides what a stream is, as TLS does.
type wrapped struct{ half }

// rig is a client and a server with a tunnel between them.
type rig struct {
	client, server half // the far ends
	near, far      half // the tunnel's own ends
	result         chan Result
}

func start(t testing.TB, network string, wrap bool, o Options) *rig {
	r := &rig{result: make(chan Result, 1)}
	r.client, r.near = pair(t, network)
	r.far, r.server = pair(t, network)
	var c, s flow.Stream = r.near, r.far
	if wrap {
		c, s = wrapped{r.near}, wrapped{r.far}
	}
	go func() { r.result <- Run(c, s, o); r.near.Close(); r.far.Close() }()
	return r
}

func kinds(t *testing.T, f func(t *testing.T, network string, wrap bool)) {
	t.Run("tcp", func(t *testing.T) { f(t, "tcp", false) })
	t.Run("unix", func(t *testing.T) { f(t, "unix", false) })
	t.Run("copied", func(t *testing.T) { f(t, "tcp", true) })
}

func TestHalfCloseIsKept(t *testing.T) {
	kinds(t, func(t *testing.T, network string, wrap bool) {
		r := start(t, network, wrap, Options{Idle: time.Minute, Up: []byte("ahead "), Down: []byte("early ")})
		io.WriteString(r.client, "question")
		r.client.CloseWrite()
		if got, err := io.ReadAll(r.server); string(got) != "ahead question" || err != nil {
			t.Fatalf("server read %q, %v", got, err)
		}
		// The other direction is still open, and stays so for as long as it likes.
		for _, s := range []string{"an", "swer"} {
			io.WriteString(r.server, s)
		}
		r.server.CloseWrite()
		if got, err := io.ReadAll(r.client); string(got) != "early answer" || err != nil {
			t.Fatalf("client read %q, %v", got, err)
		}
		want := Result{Up: 14, Down: 12, Cause: '-', Phase: '-'}
		if got := <-r.result; got != want {
			t.Errorf("result %+v, want %+v", got, want)
		}
	})
}

// TestIntegrity sends both ways at once, in pieces from a byte to a megabyte, to
// readers that pause, so that copying, splicing and blocking all alternate.
func TestIntegrity(t *testing.T) {
	kinds(t, func(t *testing.T, network string, wrap bool) {
		const total = 24 << 20
		r := start(t, network, wrap, Options{Idle: time.Minute})
		type sum [sha256.Size]byte
		send := func(c half, seed uint64, out chan<- sum) {
			rng, h := rand.New(rand.NewPCG(seed, seed)), sha256.New()
			src := rand.NewChaCha8([32]byte{byte(seed)})
			for left := total; left > 0; {
				n := min(left, 1<<rng.IntN(21))
				p := make([]byte, n)
				src.Read(p)
				h.Write(p)
				if _, err := c.Write(p); err != nil {
					t.Error(err)
					break
				}
				left -= n
			}
			c.CloseWrite()
			out <- sum(h.Sum(nil))
		}
		recv := func(c half, seed uint64, out chan<- sum) {
			rng, h := rand.New(rand.NewPCG(seed, 9)), sha256.New()
			buf := make([]byte, 1<<20)
			for {
				n, err := c.Read(buf[:1+rng.IntN(len(buf))])
				h.Write(buf[:n])
				if rng.IntN(50) == 0 {
					runtime.Gosched()
					time.Sleep(2 * time.Millisecond) // let the sender run into a full socket
				}
				if err != nil {
					if err != io.EOF {
						t.Error(err)
					}
					break
				}
			}
			out <- sum(h.Sum(nil))
		}
		sums := [4]chan sum{}
		for i := range sums {
			sums[i] = make(chan sum, 1)
		}
		go send(r.client, 1, sums[0])
		go recv(r.server, 2, sums[1])
		go send(r.server, 3, sums[2])
		go recv(r.client, 4, sums[3])
		if <-sums[0] != <-sums[1] || <-sums[2] != <-sums[3] {
			t.Error("bytes were changed")
		}
		if got, want := <-r.result, (Result{Up: total, Down: total, Cause: '-', Phase: '-'}); got != want {
			t.Errorf("result %+v, want %+v", got, want)
		}
	})
}

func reset(c half) {
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.Close()
}

// fill writes until the tunnel takes no more.
func fill(c half) {
	p := make([]byte, 1<<20)
	for {
		c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Write(p); err != nil {
			return
		}
	}
}

func TestTermination(t *testing.T) {
	const never = time.Hour
	tests := map[string]struct {
		idle time.Duration
		act  func(t *testing.T, r *rig)
		want string
	}{
		"client resets": {never, func(_ *testing.T, r *rig) { reset(r.client) }, "CD"},
		"server resets": {never, func(_ *testing.T, r *rig) { reset(r.server) }, "SD"},
		"closed under it while it is stuck": {never, func(_ *testing.T, r *rig) {
			fill(r.client)
			r.near.Close()
		}, "KD"},
		"closed under it":         {never, func(_ *testing.T, r *rig) { r.near.Close() }, "KD"},
		"reset right behind data": {0, func(_ *testing.T, r *rig) { io.WriteString(r.client, "x"); reset(r.client) }, "CD"},
		"nobody talks":            {50 * time.Millisecond, func(*testing.T, *rig) {}, "cD"},
		"only the server is awaited": {50 * time.Millisecond, func(_ *testing.T, r *rig) {
			r.client.CloseWrite()
		}, "sD"},
		"only the client is awaited": {50 * time.Millisecond, func(_ *testing.T, r *rig) {
			r.server.CloseWrite()
		}, "cD"},
		"server takes nothing": {300 * time.Millisecond, func(_ *testing.T, r *rig) { fill(r.client) }, "sD"},
		"client takes nothing": {300 * time.Millisecond, func(_ *testing.T, r *rig) { fill(r.server) }, "cD"},
		"client resets while it is written to": {never, func(t *testing.T, r *rig) {
			fill(r.server)
			reset(r.client)
		}, "CD"},
	}
	for name, tc := range tests {
		for _, wrap := range []bool{false, true} {
			if wrap && strings.Contains(name, "stuck") {
				continue // a write to TLS cannot be woken up in between
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := start(t, "tcp", wrap, Options{Idle: tc.idle})
				tc.act(t, r)
				got := <-r.result
				if string([]byte{got.Cause, got.Phase}) != tc.want || got.Err == nil {
					t.Errorf("wrapped %v: ended with %c%c, %v; want %s", wrap, got.Cause, got.Phase, got.Err, tc.want)
				}
			})
		}
	}
}

// TestIdleCountsBothWays keeps one direction talking for several idle periods:
// the silent one must not end the tunnel.
func TestIdleCountsBothWays(t *testing.T) {
	kinds(t, func(t *testing.T, network string, wrap bool) {
		const idle = 400 * time.Millisecond
		r := start(t, network, wrap, Options{Idle: idle})
		tick := time.NewTicker(idle / 8)
		defer tick.Stop()
		var b [1]byte
		for range 24 {
			<-tick.C
			io.WriteString(r.server, "x")
			if _, err := io.ReadFull(r.client, b[:]); err != nil {
				t.Fatal(err)
			}
		}
		reset(r.client)
		r.server.Close()
		if got := <-r.result; got.Down != 24 {
			t.Errorf("result %+v, want 24 bytes down", got)
		}
	})
}

// TestEndBehindData has the end of a stream, or its reset, arrive while the
// tunnel is stuck with what came before: it then lies behind the last bytes and
// no event tells of it.
func TestEndBehindData(t *testing.T) {
	for name, end := range map[string]func(half){
		"end":   func(c half) { c.CloseWrite() },
		"reset": reset,
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, "tcp", false, Options{})
			var b [1]byte
			for range 10 { // small messages first
				io.WriteString(r.client, "x")
				if _, err := io.ReadFull(r.server, b[:]); err != nil {
					t.Fatal(err)
				}
			}
			fill(r.client)
			io.Copy(io.Discard, io.LimitReader(r.server, 1<<20))
			end(r.client)
			if _, err := io.Copy(io.Discard, r.server); err != nil && name == "end" {
				t.Fatal(err)
			}
			r.server.Close()
			if got := <-r.result; (got.Cause == '-') != (name == "end") {
				t.Errorf("result %+v", got)
			}
		})
	}
}

func TestThroughTLS(t *testing.T) {
	cert := selfSigned(t)
	client, near := pair(t, "tcp")
	far, server := pair(t, "tcp")
	result := make(chan Result, 1)
	go func() {
		c := tls.Server(near, &tls.Config{Certificates: []tls.Certificate{cert}})
		result <- Run(c, far, Options{Idle: time.Minute})
		c.Close()
		far.Close()
	}()
	tc := tls.Client(client, &tls.Config{InsecureSkipVerify: true})
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	go func() { tc.Write(sent); tc.CloseWrite() }()
	got, err := io.ReadAll(server)
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("server read %d bytes of %d, %v", len(got), len(sent), err)
	}
	go func() { server.Write(sent); server.CloseWrite() }()
	if got, err = io.ReadAll(tc); err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("client read %d bytes of %d, %v", len(got), len(sent), err)
	}
	if r := <-result; r.Cause != '-' || r.Up != int64(len(sent)) || r.Down != int64(len(sent)) {
		t.Errorf("result %+v", r)
	}
}

// TestNothingIsLeft counts goroutines and descriptors around many tunnels that
// ended in every way.
func TestNothingIsLeft(t *testing.T) {
	fds := func() int { // without the pipes kept for the next stream
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(d) - 2*keptPipes()
	}
	f0, g0 := fds(), runtime.NumGoroutine()
	for i := range 60 {
		r := start(t, "tcp", i%4 == 3, Options{Idle: time.Minute})
		if i%6 == 2 || i%20 == 0 {
			fill(r.client) // leaves bytes in a pipe
		}
		switch i % 3 {
		case 0:
			reset(r.client)
			r.server.Close()
		case 1:
			reset(r.server)
		case 2:
			r.near.Close()
			r.server.Close()
		}
		<-r.result
		r.client.Close()
		r.server.Close()
	}
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > g0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if g, f := runtime.NumGoroutine(), fds(); g > g0 || f > f0 {
		t.Errorf("%d goroutines and %d descriptors, began with %d and %d", g, f, g0, f0)
	}
}
