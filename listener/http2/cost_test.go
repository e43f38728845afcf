package http2

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/listener/flow/flowtest"
	h2 "github.com/loadstar-lb/loadstar/listener/wire/http2"
)

// stub answers without allocating.
var stub = flowtest.Func(func(x *flow.Exchange) {
	x.Resp.Header.Add("Content-Type", "text/plain")
	_ = x.Respond(200, "", hello)
})

var hello = []byte("hello, world")

// asker sends the same head again and again and reads answers whole.
type asker struct {
	net.Conn
	head []byte
	id   uint32
	buf  [4096]byte
}

func newAsker(t testing.TB, h *host) *asker {
	t.Helper()
	c := h.dialRaw(t)
	c.open(1, true, get("/path", "user-agent", "asker", "accept", "*/*")...) // now all is in the table
	if f, ok := any(c).(*raw); !ok || f.collect(1).body != string(hello) {
		t.Fatal("no answer")
	}
	return &asker{Conn: c.Conn, head: c.block(get("/path", "user-agent", "asker", "accept", "*/*")...), id: 1}
}

func (a *asker) ask(t testing.TB) {
	a.id += 2
	b := append(h2.AppendFrame(a.buf[:0], len(a.head), h2.TypeHeaders, h2.FlagEndHeaders|h2.FlagEndStream, a.id), a.head...)
	if a.id%1000 == 1 { // the connection's window, for the bodies of 500 answers
		b = h2.AppendWindow(b, 0, 500*len(hello))
	}
	if _, err := a.Write(b); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := io.ReadFull(a.Conn, a.buf[:h2.FrameHead]); err != nil {
			t.Fatal(err)
		}
		f := h2.ParseFrame(a.buf[:])
		if _, err := io.ReadFull(a.Conn, a.buf[:f.Length]); err != nil {
			t.Fatal(err)
		}
		if f.Kind == h2.TypeData && f.ID == a.id && f.Has(h2.FlagEndStream) {
			return
		}
	}
}

// A stream whose head is in HPACK's table costs no allocation.
func TestAllocations(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector allocates, and has pools forget")
	}
	a := newAsker(t, serve(t, false, stub, testLimits))
	for range 100 {
		a.ask(t)
	}
	if n := testing.AllocsPerRun(500, func() { a.ask(t) }); n > 0 {
		t.Errorf("%v allocations a stream", n)
	}
}

func BenchmarkStream(b *testing.B) {
	a := newAsker(b, serve(b, false, stub, testLimits))
	b.ReportAllocs()
	for b.Loop() {
		a.ask(b)
	}
}

// Ten connections that send heads as large as they can, through HPACK's table,
// and bodies that nobody takes, cost at most 8 MB (heap in use).
func TestMemoryOfAttackers(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector needs memory of its own")
	}
	release := make(chan bool)
	h := serve(t, false, flowtest.Func(func(x *flow.Exchange) {
		<-release
		_ = x.Respond(200, "", nil)
	}), testLimits)
	defer close(release)
	inUse := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	before := inUse()
	var conns []*raw
	for range 10 {
		c := h.dialRaw(t)
		conns = append(conns, c)
		bomb := post("/")
		for range 10 {
			bomb = append(bomb, "y", strings.Repeat("y", 3_000))
		}
		go func() {
			for id := uint32(1); id < 400; id += 2 {
				c.open(id, false, bomb...)
				if c.WriteData(id, false, make([]byte, 2_000)) != nil {
					return
				}
			}
		}()
	}
	for range 5 {
		time.Sleep(20 * time.Millisecond) // for what is sent to arrive; a lesser attack only makes the test easier
	}
	used := inUse() - before
	t.Logf("%d KiB", used>>10)
	if used > 8<<20 {
		t.Errorf("%d KiB for 10 connections", used>>10)
	}
	for _, c := range conns {
		_ = c.Close()
	}
}
