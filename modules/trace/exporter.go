package trace

import (
	"context"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// What an exporter takes its time and its memory for.
const (
	queued      = 2048             // exchanges that wait, at most
	batch       = 512              // spans a request to the collector, about
	linger      = time.Second / 2  // spans are gathered so long
	sendWithin  = 10 * time.Second // for one request to the collector, tried again meanwhile
	closeWithin = 2 * time.Second
	reportEvery = time.Minute // failures are told about at most so often
)

// Exporter takes spans to a collector. It outlives configurations.
type Exporter struct {
	key      Key
	log      *slog.Logger
	client   otlptrace.Client
	resource *resourcepb.Resource
	queue    chan []*tracepb.Span
	stop     chan struct{}
	done     chan struct{}
	closing  sync.Once
	reported time.Time

	sent, dropped atomic.Uint64
}

// Stats counts spans. Once the exporter is closed, Held is 0 and Delivered +
// Dropped is what was offered.
type Stats struct{ Delivered, Dropped, Held uint64 }

// Open starts an exporter. It does not wait for the collector.
func Open(k Key, version string, log *slog.Logger) *Exporter {
	headers := map[string]string{}
	parts := strings.Split(k.Headers, "\x00")
	for i := 0; i+1 < len(parts); i += 2 {
		headers[parts[i]] = parts[i+1]
	}
	e := &Exporter{
		key: k, log: log, queue: make(chan []*tracepb.Span, queued), stop: make(chan struct{}), done: make(chan struct{}),
		client: otlptracehttp.NewClient(
			otlptracehttp.WithEndpointURL(k.URL), otlptracehttp.WithHeaders(headers), otlptracehttp.WithTimeout(sendWithin),
			otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
				Enabled: true, InitialInterval: 500 * time.Millisecond, MaxInterval: 3 * time.Second, MaxElapsedTime: sendWithin,
			})),
	}
	host, _ := os.Hostname()
	e.resource = &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
		text("service.name", k.Service), text("service.version", version), text("host.name", host), number("process.pid", int64(os.Getpid())),
		text("telemetry.sdk.name", "loadstar"), text("telemetry.sdk.language", "go"),
	}}
	go e.run()
	return e
}

// take offers the spans of an exchange that has ended. It never blocks.
func (e *Exporter) take(r *flow.Record) {
	spans := uint64(1 + len(r.Trace.Tries))
	if len(e.queue) == cap(e.queue) { // not worth making them
		e.dropped.Add(spans)
		return
	}
	select {
	case <-e.stop:
		e.dropped.Add(spans)
	case e.queue <- spansOf(r):
	default:
		e.dropped.Add(spans)
	}
}

// Stats tells what became of the spans so far.
func (e *Exporter) Stats() Stats {
	return Stats{Delivered: e.sent.Load(), Dropped: e.dropped.Load(), Held: uint64(len(e.queue))}
}

// Close takes what is left to the collector, for at most two seconds.
func (e *Exporter) Close() {
	e.closing.Do(func() { close(e.stop) })
	<-e.done
}

func (e *Exporter) run() {
	defer close(e.done)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-e.stop
		time.AfterFunc(closeWithin, cancel)
	}()
	_ = e.client.Start(ctx) // it has nothing to start
	late := time.NewTicker(linger)
	defer late.Stop()
	var spans []*tracepb.Span
	for {
		select {
		case s := <-e.queue:
			if spans = append(spans, s...); len(spans) < batch {
				continue
			}
		case <-late.C:
		case <-e.stop:
			e.finish(ctx, spans)
			return
		}
		e.send(ctx, spans)
		spans = spans[:0]
	}
}

// finish sends what is there when the exporter is closed.
func (e *Exporter) finish(ctx context.Context, spans []*tracepb.Span) {
	for len(e.queue) > 0 {
		spans = append(spans, <-e.queue...)
	}
	for len(spans) > 0 {
		n := min(batch, len(spans))
		e.send(ctx, spans[:n])
		spans = spans[n:]
	}
	_ = e.client.Stop(ctx) // it has nothing to stop but its connections
}

// send takes spans to the collector, and counts what became of them.
func (e *Exporter) send(ctx context.Context, spans []*tracepb.Span) {
	if len(spans) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	err := e.client.UploadTraces(ctx, []*tracepb.ResourceSpans{{
		Resource:   e.resource,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "github.com/loadstar-lb/loadstar"}, Spans: spans}},
	}})
	if err == nil {
		e.sent.Add(uint64(len(spans)))
		return
	}
	e.dropped.Add(uint64(len(spans)))
	if time.Since(e.reported) >= reportEvery {
		e.reported = time.Now()
		e.log.Warn("traces cannot be delivered", "to", e.key.String(), "spans", len(spans), "dropped", e.dropped.Load(), "err", err)
	}
}
