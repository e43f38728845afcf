package http3

import (
	"bufio"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
)

// attackVar has this program attack somebody instead of being a test: "KIND ADDRESS".
const attackVar = "LOADSTAR_HTTP3_ATTACK"

// TestAttacker is no test, but the client of those below, whose own memory must not
// count. It says when all is sent, and leaves when it is told to.
func TestAttacker(t *testing.T) {
	kind, addr, ok := strings.Cut(os.Getenv(attackVar), " ")
	if !ok {
		t.Skip("run by the tests of what attackers cost")
	}
	switch kind {
	case "spoofed":
		halfOpen(t, addr, false)
	case "proven":
		halfOpen(t, addr, true)
	default:
		sendHeads(t, kind, addr)
	}
	_, _ = os.Stdout.WriteString("sent\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func sendHeads(t *testing.T, kind, addr string) {
	head := headers(post("/", "y", strings.Repeat("y", 30_000))...)
	bomb := head + data(strings.Repeat("z", 8_000))
	if kind == "unfinished" {
		bomb = head[:len(head)-1]
	}
	h := &host{addr: addr}
	var all sync.WaitGroup
	for range 10 {
		c := h.dial(t)
		for range 100 {
			if kind == "nothing" {
				break
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second) // there may be no more streams
			q, err := c.OpenStreamSync(ctx)
			cancel()
			if err != nil {
				break
			}
			all.Go(func() {
				_ = q.SetWriteDeadline(time.Now().Add(3 * time.Second)) // or no more room
				_, _ = q.Write([]byte(bomb))
			})
		}
	}
	all.Wait()
}

// handshakes is how many are begun that never end.
const handshakes = 200

// deaf is a socket that hears nothing but what a client needs to prove its address.
type deaf struct {
	net.PacketConn
	proves bool
	heard  chan bool
}

// ReadFrom gives Retry packets (RFC 9000 §17.2.5), if anything.
func (d *deaf) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := d.PacketConn.ReadFrom(p)
		if err == nil {
			select {
			case d.heard <- true:
			default:
			}
		}
		if err != nil || d.proves && n > 0 && p[0]&0xf0 == 0xf0 {
			return n, from, err
		}
	}
}

// halfOpen begins handshakes, and does not go on with them.
func halfOpen(t *testing.T, addr string, proves bool) {
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	d := &deaf{PacketConn: listenUDP(t), proves: proves, heard: make(chan bool, 1)}
	tr := &quic.Transport{Conn: d}
	t.Cleanup(func() { _ = tr.Close() })
	for range handshakes {
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		go func() { _, _ = tr.Dial(ctx, to, clientTLS, &quic.Config{HandshakeIdleTimeout: time.Minute}) }()
		select {
		case <-d.heard:
		case <-time.After(time.Second):
		}
	}
	time.Sleep(100 * time.Millisecond) // for the last ones to arrive; fewer only make the test easier
}

// attacked serves a host that another process attacks, and gives what that costs it,
// in bytes of heap and stacks that are in use.
func attacked(t *testing.T, kind string) (h *host, used int64) {
	t.Helper()
	release := make(chan bool)
	h = serve(t, flowtest.Func(func(x *flow.Exchange) {
		<-release
		_ = x.Respond(200, "", nil)
	}), testLimits)
	t.Cleanup(func() { close(release) })
	inUse := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := inUse()
	attack := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAttacker$", "-test.v")
	attack.Env = append(os.Environ(), attackVar+"="+kind+" "+h.addr)
	in, err := attack.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := attack.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := attack.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = attack.Wait()
	})
	said := bufio.NewScanner(out)
	for said.Scan() && said.Text() != "sent" {
	}
	return h, inUse() - before
}

// Ten connections that send heads as large as they can, whole ones with bodies that
// nobody takes or such as never end, cost at most 8 MB beside what ten connections
// that do nothing cost.
func TestMemoryOfAttackers(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector needs memory of its own")
	}
	idle := int64(0)
	for _, kind := range []string{"nothing", "whole", "unfinished"} {
		t.Run(kind, func(t *testing.T) {
			h, used := attacked(t, kind)
			h.mu.Lock()
			n := len(h.conns)
			h.mu.Unlock()
			t.Logf("%d KiB for %d connections", used>>10, n)
			if n != 10 {
				t.Errorf("%d connections", n)
			}
			if kind == "nothing" {
				idle = max(used, 0)
			} else if used-idle > 8<<20 {
				t.Errorf("%d KiB for 10 connections, %d KiB for as many that do nothing", used>>10, idle>>10)
			}
		})
	}
}

// Handshakes that are begun and never ended cost nothing beyond shakingLimit of them
// while nobody has proved that an address is theirs, and little where somebody has.
func TestMemoryOfHalfOpen(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector needs memory of its own")
	}
	for kind, most := range map[string]int64{"spoofed": shakingLimit, "proven": handshakes} {
		t.Run(kind, func(t *testing.T) {
			h, used := attacked(t, kind)
			n := h.end.(*Endpoint).shaking.Load()
			t.Logf("%d KiB for %d handshakes in progress of %d", used>>10, n, handshakes)
			if n == 0 || n > most {
				t.Errorf("%d handshakes in progress, want at most %d", n, most)
			}
			if each := used / max(n, 1); each > 100<<10 {
				t.Errorf("%d KiB for each of %d handshakes", each>>10, n)
			}
		})
	}
}
