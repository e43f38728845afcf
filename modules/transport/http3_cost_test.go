package transport

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http3"
)

// cheap3 is an HTTP/3 server that does the least: it reads each stream to its end and
// answers with the same bytes.
func cheap3(t testing.TB) string {
	answer := append(headers(":status", "200", "content-type", "text/plain", "content-length", "5"), data("hello")...)
	s := newServer3(t, nil, func(p *peer3, _ int) {
		buf := make([]byte, 4096)
		for {
			q, err := p.AcceptStream(context.Background())
			if err != nil {
				return
			}
			for err == nil {
				_, err = q.Read(buf)
			}
			_, _ = q.Write(answer)
			_ = q.Close()
		}
	})
	return s.addr
}

// bare makes the same exchange with nothing but QUIC: what it allocates is not ours.
func bare(t testing.TB, addr string) func() {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: pc}
	conf := tlsOf("h3")
	conf.InsecureSkipVerify = true
	q, err := tr.Dial(t.Context(), to, conf, quicConfig(guardTime))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = q.CloseWithError(quic.ApplicationErrorCode(wire.CodeNone), "")
		_ = tr.Close()
		_ = pc.Close()
	})
	request, buf := headers(":method", "GET", ":scheme", "https", ":path", "/x", ":authority", "a"), make([]byte, 4096)
	return func() {
		st, err := q.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		_ = st.SetWriteDeadline(time.Now().Add(guardTime))
		_, _ = st.Write(request)
		_ = st.Close()
		_ = st.SetReadDeadline(time.Now().Add(guardTime))
		for err == nil {
			_, err = st.Read(buf)
		}
		if err != io.EOF {
			t.Fatal(err)
		}
	}
}

// What an exchange over HTTP/3 allocates is QUIC's: streams and timers. What is ours,
// on either side of the transport, comes from pools.
func TestQUICAllocations(t *testing.T) {
	if flow.Race {
		t.Skip("the race detector allocates, and has pools forget")
	}
	addr := cheap3(t)
	exchange := bare(t, addr)
	g := newGate3(t, addr, testTimeouts)
	c, buf := (&proxy{addr: g.h1}).dial(t), make([]byte, 4096)
	ours := func() { askCheap(t, c, buf) }
	for range 200 {
		exchange()
		ours()
	}
	want, got := testing.AllocsPerRun(1000, exchange), testing.AllocsPerRun(1000, ours)
	t.Logf("%v allocations an exchange, of which %v are QUIC's", got, want)
	if got > want+2 { // which acknowledgements go with what is not ours to say
		t.Errorf("%v allocations an exchange, QUIC alone %v", got, want)
	}
}

func BenchmarkQUIC(b *testing.B) {
	g := newGate3(b, cheap3(b), testTimeouts)
	c, buf := (&proxy{addr: g.h1}).dial(b), make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		askCheap(b, c, buf)
	}
}
