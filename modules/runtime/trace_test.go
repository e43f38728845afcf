package runtime_test

import (
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// TestTraceContext sends requests through to a server and looks at what that one
// is told, and what a collector is.
func TestTraceContext(t *testing.T) {
	var mu sync.Mutex
	var spans []*tracepb.Span
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		b, _ := io.ReadAll(z)
		var req coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(b, &req); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range req.ResourceSpans {
			spans = append(spans, s.ScopeSpans[0].Spans...)
		}
	}))
	defer collector.Close()
	got := make(chan http.Header, 10)
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header }))
	defer origin.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0") // takes nobody
	if err != nil {
		t.Fatal(err)
	}
	gone := dead.Addr().String()
	_ = dead.Close()

	r, port, plain := newRuntime(t), freePort(t), freePort(t)
	text := fmt.Sprintf("{\n\ttrace otlp %s sample 0%%\n}\nhttp://:%d {\n\tbind 127.0.0.1\n\tlog off\n\theader response X-Trace {trace.id}\n\tproxy web\n}\n"+
		"http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\ttrace off\n\tproxy web\n}\n"+
		"pool web {\n\tbalance first\n\tserver gone %s maxconn 100\n\tserver one %s\n}\n", collector.URL, port, plain, gone, origin.Listener.Addr())
	if _, errs := r.Apply(load(t, text)); errs.HasErrors() {
		t.Fatal(errs)
	}
	ask := func(port int, parent string) (res *http.Response, told http.Header) {
		t.Helper()
		req, _ := http.NewRequest("GET", fmt.Sprintf("http://127.0.0.1:%d/x", port), nil)
		if parent != "" {
			req.Header.Set("traceparent", parent)
			req.Header.Set("tracestate", "a=b")
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res, <-got
	}
	const id, client = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	sampled := "00-" + id + "-" + client + "-01"
	res, told := ask(port, sampled)
	at := told.Get("Traceparent")
	if !strings.HasPrefix(at, "00-"+id+"-") || !strings.HasSuffix(at, "-01") || strings.Contains(at, client) || told.Get("Tracestate") != "a=b" || res.Header.Get("X-Trace") != id {
		t.Errorf("the server is told %q, %q; the client %q", at, told.Get("Tracestate"), res.Header.Get("X-Trace"))
	}
	if _, told := ask(port, ""); !strings.HasSuffix(told.Get("Traceparent"), "-00") {
		t.Errorf("a trace of our own, not drawn: %q", told.Get("Traceparent"))
	}
	// Where nothing is traced both fields pass untouched, valid or not.
	for _, parent := range []string{sampled, "00-" + id + "-" + client + "-00", "nonsense"} {
		if _, told := ask(plain, parent); told.Get("Traceparent") != parent || told.Get("Tracestate") != "a=b" {
			t.Errorf("untraced: %q became %q", parent, told.Get("Traceparent"))
		}
	}
	eventually(t, "the collector is told", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(spans) > 0
	})
	eventually(t, "the delivery is counted", func() bool {
		c := r.Census()
		mu.Lock()
		defer mu.Unlock()
		return len(c.Traces) == 1 && c.Traces[0].Delivered == uint64(len(spans)) && c.Traces[0].Dropped == 0
	})
	mu.Lock()
	defer mu.Unlock()
	own, last := spans[0], spans[len(spans)-1]
	if len(spans) < 3 || hex.EncodeToString(own.TraceId) != id || hex.EncodeToString(own.ParentSpanId) != client || "00-"+id+"-"+hex.EncodeToString(last.SpanId)+"-01" != at {
		t.Errorf("%d spans: %v; the server was told %s", len(spans), spans, at)
	}
	for i, s := range spans[1:] {
		if string(s.ParentSpanId) != string(own.SpanId) || (i < len(spans)-2) != (s.Status.GetCode() == tracepb.Status_STATUS_CODE_ERROR) {
			t.Errorf("try %d: %v", i, s)
		}
	}
}
