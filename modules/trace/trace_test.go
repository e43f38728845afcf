package trace

import (
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// collector is an OTLP receiver: it decodes what it is sent.
type collector struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*tracepb.Span
	resource map[string]string
	header   http.Header
	path     string
}

func newCollector(t *testing.T) *collector {
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		b, err := io.ReadAll(body)
		var req coltracepb.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(b, &req)
		}
		if err != nil {
			t.Error(err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.header, c.path = r.Header.Clone(), r.URL.Path
		for _, rs := range req.ResourceSpans {
			c.resource = attributesOf(&tracepb.Span{Attributes: rs.Resource.Attributes})
			for _, ss := range rs.ScopeSpans {
				c.spans = append(c.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func attributesOf(s *tracepb.Span) map[string]string {
	out := map[string]string{}
	for _, a := range s.Attributes {
		out[a.Key] = strings.Trim(strings.SplitN(a.Value.String(), ":", 2)[1], `"`)
	}
	return out
}

// exchange gives one that ended, with two tries.
func exchange(tr *Tracer, parent string) *flow.Exchange {
	x := &flow.Exchange{}
	c := &flow.Conn{Peer: netip.MustParseAddrPort("192.0.2.9:4711")}
	x.Begin(c, nil)
	x.Req.Method, x.Req.Scheme, x.Req.Path, x.Req.Host = "GET", "http", []byte("/a b\xff"), []byte("www.example")
	x.Req.Header.Add("User-Agent", "tester/1")
	x.Req.Header.Add("tracestate", "vendor=1")
	if parent != "" {
		x.Req.Header.Add("Traceparent", parent)
	}
	r := &x.Record
	r.Method, r.Version, r.Site, r.Pool, r.Client = "GET", "HTTP/1.1", "http://:80", "web", netip.MustParseAddrPort("192.0.2.1:1")
	now := flow.Now()
	r.Timings = flow.Timings{Accept: now, FirstByte: now, Head: now, Queued: now, Slot: now + 1000}
	tr.Begin(x)
	if r.Trace == nil {
		return x
	}
	r.Trace.Begin(x, "one", "10.0.0.1:80")
	r.Trace.Failed(x, &flow.Error{Cause: "connect failed", Err: errors.New("refused")})
	r.Trace.Begin(x, "two", "10.0.0.2:81")
	x.Resp.Status, r.Status = 200, 200
	r.Timings.Connected, r.Timings.Answer = flow.Now(), flow.Now()
	r.Timings.End = flow.Now()
	return x
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	client  = "00f067aa0ba902b7"
)

var quiet = slog.New(slog.DiscardHandler)

func TestSpans(t *testing.T) {
	c := newCollector(t)
	e := Open(Key{URL: c.URL + "/v1/traces", Service: "shop", Headers: "X-Token\x00secret\x00"}, "v1", quiet)
	tr := &Tracer{Exporter: e}
	x := exchange(tr, "00-"+traceID+"-"+client+"-01")
	sentTo := string(x.Req.Header.Get("traceparent"))
	tr.End(&x.Record)
	if x.Record.Trace != nil {
		t.Error("the record keeps what others use again")
	}
	e.Close()
	if st := e.Stats(); st != (Stats{Delivered: 3}) {
		t.Fatalf("%+v", st)
	}
	if len(c.spans) != 3 || c.path != "/v1/traces" || c.header.Get("X-Token") != "secret" || c.resource["service.name"] != "shop" || c.resource["service.version"] != "v1" {
		t.Fatalf("%d spans at %s, %v, resource %v", len(c.spans), c.path, c.header, c.resource)
	}
	own, one, two := c.spans[0], c.spans[1], c.spans[2]
	hex := hexOf
	if hex(own.TraceId) != traceID || hex(own.ParentSpanId) != client || own.Kind != tracepb.Span_SPAN_KIND_SERVER || own.Name != "GET" {
		t.Errorf("%v", own)
	}
	if sentTo != "00-"+traceID+"-"+hex(two.SpanId)+"-01" {
		t.Errorf("the server was told %s; its span is %s", sentTo, hex(two.SpanId))
	}
	for _, s := range []*tracepb.Span{one, two} {
		if hex(s.TraceId) != traceID || hex(s.ParentSpanId) != hex(own.SpanId) || s.Kind != tracepb.Span_SPAN_KIND_CLIENT ||
			s.StartTimeUnixNano > s.EndTimeUnixNano || s.EndTimeUnixNano > own.EndTimeUnixNano {
			t.Errorf("%v", s)
		}
	}
	if since := time.Since(time.Unix(0, int64(own.StartTimeUnixNano))); since < 0 || since > time.Minute || own.StartTimeUnixNano > own.EndTimeUnixNano {
		t.Errorf("it began %v ago", since)
	}
	for s, want := range map[*tracepb.Span]map[string]string{
		own: {"http.request.method": "GET", "http.response.status_code": "200", "url.path": "/a b\uFFFD", "url.scheme": "http", "server.address": "www.example",
			"client.address": "192.0.2.1", "network.peer.address": "192.0.2.9", "network.peer.port": "4711", "user_agent.original": "tester/1",
			"network.protocol.version": "1.1", "loadstar.site": "http://:80", "loadstar.pool": "web", "error.type": ""},
		one: {"loadstar.server": "one", "server.address": "10.0.0.1", "server.port": "80", "error.type": "connect failed", "http.request.resend_count": ""},
		two: {"loadstar.server": "two", "server.port": "81", "http.response.status_code": "200", "http.request.resend_count": "1", "error.type": ""},
	} {
		got := attributesOf(s)
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s is %q, not %q", k, got[k], v)
			}
		}
	}
	if one.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || two.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET || own.Status.GetCode() != tracepb.Status_STATUS_CODE_UNSET {
		t.Errorf("statuses: %v, %v, %v", own.Status, one.Status, two.Status)
	}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, c := range b {
		out.WriteByte(digits[c>>4])
		out.WriteByte(digits[c&15])
	}
	return out.String()
}

// TestSampling: a parent's word counts, and without one the site's share.
func TestSampling(t *testing.T) {
	c := newCollector(t)
	e := Open(Key{URL: c.URL}, "", quiet)
	all, none := Share{1<<64 - 1}, Share{}
	for _, k := range []struct {
		name, parent string
		sample       Share
		spans        uint64
		id, flags    string
		state        string
	}{
		{"asked for", "00-" + traceID + "-" + client + "-01", none, 3, traceID, "01", "vendor=1"},
		{"asked not to", "00-" + traceID + "-" + client + "-00", all, 0, traceID, "00", "vendor=1"},
		{"none", "", all, 3, "", "01", ""},
		{"none, and not drawn", "", none, 0, "", "00", ""},
		{"broken", "00-" + traceID + "-" + client, all, 3, "", "01", ""},
	} {
		before := e.Stats()
		tr := &Tracer{Exporter: e, Sample: k.sample}
		x := exchange(tr, k.parent)
		p, ok := flow.ParseTraceParent(x.Req.Header.Get("traceparent"))
		if id := hexOf(p.ID[:]); !ok || k.id != "" && id != k.id || k.id == "" && id == traceID || hexOf([]byte{p.Flags}) != k.flags {
			t.Errorf("%s: the server is told %s", k.name, x.Req.Header.Get("traceparent"))
		}
		if got := string(x.Req.Header.Get("tracestate")); got != k.state {
			t.Errorf("%s: tracestate %q", k.name, got)
		}
		tr.End(&x.Record)
		var st Stats
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if st = e.Stats(); st.Delivered+st.Dropped-before.Delivered-before.Dropped >= k.spans {
				break
			}
		}
		if n := st.Delivered - before.Delivered; n != k.spans {
			t.Errorf("%s: %d spans", k.name, n)
		}
	}
	e.Close()
}

// TestCollectorHangs: who does not answer costs memory of a fixed size, and no time;
// every span is accounted for.
func TestCollectorHangs(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hang.Close()
	defer close(release)
	e := Open(Key{URL: hang.URL}, "", quiet)
	tr := &Tracer{Exporter: e, Sample: Share{1<<64 - 1}}
	const n = queued + 600
	for range n {
		x := exchange(tr, "")
		tr.End(&x.Record)
	}
	if st := e.Stats(); st.Dropped == 0 || st.Held > queued {
		t.Errorf("while it hangs: %+v", st)
	}
	e.Close()
	if st := e.Stats(); st.Delivered+st.Dropped != 3*n || st.Held != 0 {
		t.Errorf("at the end: %+v of %d", st, 3*n)
	}
}

func TestParseShare(t *testing.T) {
	for text, want := range map[string]float64{"0%": 0, "100%": 1, "50%": .5, "0.5%": .005, "1/1000": .001, "3/4": .75, "1/1": 1, "0/5": 0} {
		s, err := ParseShare(text)
		if got := float64(s.below) / (1 << 63) / 2; err != nil || got < want-1e-9 || got > want+1e-9 {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "%", "101%", "-1%", "2/1", "1/0", "0/0", "a/b", "NaN%", "1/-2", "5%%"} {
		if _, err := ParseShare(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	s, _ := ParseShare("25%")
	n := 0
	for range 10_000 {
		if s.take() {
			n++
		}
	}
	if n < 2000 || n > 3000 {
		t.Errorf("%d of 10000 for 25%%", n)
	}
}

// TestUnsampledAllocatesNothing: tracing is free of garbage when nobody is told of the trace.
func TestUnsampledAllocatesNothing(t *testing.T) {
	tr := &Tracer{}
	x := exchange(tr, "")
	tr.End(&x.Record)
	n := testing.AllocsPerRun(100, func() {
		x.Begin(x.Conn, nil)
		tr.Begin(x)
		x.Record.Trace.Begin(x, "one", "a:1")
		tr.End(&x.Record)
	})
	if n > 0 && !flow.Race {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkSampled(b *testing.B) {
	tr := &Tracer{Sample: Share{1<<64 - 1}, Exporter: &Exporter{queue: make(chan []*tracepb.Span, 1)}}
	x := exchange(tr, "")
	b.ReportAllocs()
	for b.Loop() {
		tr.Begin(x)
		x.Record.Trace.Begin(x, "one", "a:1")
		_ = spansOf(&x.Record)
		tr.End(&x.Record)
	}
}

// BenchmarkExported is all that a sampled exchange with one try costs: its spans are
// made, encoded, compressed and sent, in batches. What counts is cpu-ns/op, the
// process's time on all processors; a collector that only reads is part of it.
func BenchmarkExported(b *testing.B) {
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer collector.Close()
	e := Open(Key{URL: collector.URL + "/v1/traces", Service: "bench"}, "test", slog.New(slog.DiscardHandler))
	defer e.Close()
	tr := &Tracer{Sample: Share{1<<64 - 1}, Exporter: e}
	x := exchange(tr, "")
	before := cpuTime(b)
	for b.Loop() {
		for len(e.queue) == cap(e.queue) { // none is to be dropped, for that is cheaper
			time.Sleep(time.Millisecond)
		}
		tr.Begin(x)
		x.Record.Trace.Begin(x, "one", "a:1")
		tr.End(&x.Record)
	}
	b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N), "cpu-ns/op")
	if s := e.Stats(); s.Dropped > 0 {
		b.Errorf("%d spans were dropped", s.Dropped)
	}
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Skip("SKIP: ", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestRead(t *testing.T) {
	for address, want := range map[string]string{
		"http://127.0.0.1:4318": "http://127.0.0.1:4318/v1/traces", "https://collector.example/": "https://collector.example/v1/traces",
		"http://[::1]:4318/otlp": "http://[::1]:4318/otlp",
		"127.0.0.1:4318":         "is no address", "http://:4318": "is no address", "ftp://collector": "is no address", "http://": "is no address",
		"http://u:p@collector": "do not belong into the address", "http://collector/?a=b": "more than a path", "http://collector/#a": "more than a path",
	} {
		s, err := Read(&config.Node{Args: []config.Value{{Text: address}}, Options: []config.Node{{Word: "service", Args: []config.Value{{Text: "shop"}}}, {Word: "sample", Args: []config.Value{{Text: "1%"}}}}})
		switch {
		case err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %s", address, err, want)
		case err == nil && (s.URL != want || s.Service != "shop"):
			t.Errorf("%s: %+v, want %s", address, s, want)
		}
	}
}
