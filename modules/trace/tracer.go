package trace

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Tracer is the tracing of one site.
type Tracer struct {
	Exporter *Exporter
	Sample   Share // of the exchanges that belong to no trace yet
}

// sampled is the flag of a traceparent that asks for the trace to be recorded.
const sampled = 1

var traces = sync.Pool{New: func() any { return &flow.Trace{NewSpan: newSpan} }}

func newSpan() (s flow.SpanID) {
	for s == (flow.SpanID{}) {
		binary.BigEndian.PutUint64(s[:], rand.Uint64())
	}
	return s
}

// Begin starts to trace an exchange, before its site's first directive. A field
// that is not valid is as good as none, and begins a new trace (W3C Trace Context
// §4.3); then what stands in tracestate goes, too.
func (t *Tracer) Begin(x *flow.Exchange) {
	h := &x.Req.Header
	parent, ok := flow.ParseTraceParent(h.Get("traceparent"))
	if ok {
		n := 0
		for range h.Values("traceparent") {
			n++
		}
		ok = n == 1
	}
	tr := traces.Get().(*flow.Trace)
	tr.Tries = tr.Tries[:0]
	tr.Parent, tr.TraceParent = parent.Span, parent
	if !ok {
		h.Del("tracestate")
		tr.Parent, tr.Flags = flow.SpanID{}, 0
		binary.BigEndian.PutUint64(tr.ID[:8], rand.Uint64())
		binary.BigEndian.PutUint64(tr.ID[8:], rand.Uint64()|1) // never zero
		if t.Sample.take() {
			tr.Flags = sampled
		}
	}
	tr.Span = newSpan()
	x.Record.Trace = tr
	// Directives and logs see the exchange's own span; each try puts its own there.
	x.Scratch = tr.Append(x.Scratch[:0])
	h.SetBytes("traceparent", x.Scratch)
}

// End tells of an exchange that has ended, if its trace is sampled.
func (t *Tracer) End(r *flow.Record) {
	tr := r.Trace
	if tr.Flags&sampled != 0 {
		tr.Ended(r)
		t.Exporter.take(r)
	}
	r.Trace = nil
	clear(tr.Tries)
	traces.Put(tr)
}
