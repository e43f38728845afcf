package graph

import (
	"net/netip"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// accounted gives a site that logs to a file and counts, and an exchange of its
// that has ended at a server.
func accounted(t testing.TB) (*Site, *flow.Exchange, logging.Sink) {
	t.Helper()
	var sink logging.Sink
	set := modules.Standard()
	cfg, _, found := dsl.Load("Lbfile", []byte("{\n\tlog file /dev/null\n}\nhttp://:80 {\n\trespond x\n}\n"), dsl.Options{Vocabulary: set.Vocabulary()})
	if found.HasErrors() {
		t.Fatal(found)
	}
	b := logging.NewBuilder(set.Logging, func(_ logging.Key, open func() (logging.Sink, error)) (logging.Sink, error) {
		s, err := open()
		if err == nil {
			sink = s
			t.Cleanup(func() { _ = s.Close() })
		}
		return s, err
	})
	if found := b.Process(cfg.Process); found.HasErrors() {
		t.Fatal(found)
	}
	log, found := b.Site(cfg.Sites[0].Body, false)
	if found.HasErrors() {
		t.Fatal(found)
	}
	x := &flow.Exchange{}
	x.Begin(&flow.Conn{}, nil)
	r := &x.Record
	r.Start, r.Client, r.Site, r.Pool, r.Server = time.Now(), netip.MustParseAddrPort("192.0.2.1:4711"), "http://:80", "web", "one"
	r.Method, r.URI, r.Version, r.Status, r.BytesIn, r.BytesOut = "GET", []byte("/img/logo.png?v=7"), "HTTP/1.1", 200, 400, 5000
	now := flow.Now()
	r.Timings = flow.Timings{Accept: now, FirstByte: now, Head: now, Queued: now, Slot: now, Connected: now, Answer: now + 1e6, End: now + 2e6}
	r.Tally = &upstream.Server{Live: upstream.NewLive(), Group: upstream.NewLive()}
	return &Site{Name: "http://:80", gate: newGate(), log: log, total: func() int64 { return 7 }}, x, sink
}

// TestAccountAllocatesNothing: logging and counting leave no garbage.
func TestAccountAllocatesNothing(t *testing.T) {
	s, x, _ := accounted(t)
	s.note(x)
	if n := testing.AllocsPerRun(1000, func() { s.note(x) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkAccount is all that logging and metrics cost an exchange, on the
// goroutine that serves it. No line is lost: those are cheaper.
func BenchmarkAccount(b *testing.B) {
	s, x, sink := accounted(b)
	b.ReportAllocs()
	for i := range b.N {
		if i%2000 == 1999 {
			b.StopTimer()
			for sink.Stats().Held > 0 {
				time.Sleep(100 * time.Microsecond)
			}
			b.StartTimer()
		}
		s.note(x)
	}
	if st := sink.Stats(); st.Dropped > 0 {
		b.Errorf("%d lines were lost", st.Dropped)
	}
}
