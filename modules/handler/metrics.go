package handler

import (
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"sync"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/metrics"
)

// Metrics is `metrics`: what is running, for Prometheus.
var Metrics = Module{
	Spec: spec.Word{
		Name: "metrics", In: spec.InHTTPSite, Matcher: true, Repeat: true,
		Doc: "Answers with the metrics of the whole process, for Prometheus",
		Long: "The format is what the scraper asks for: text, OpenMetrics or protobuf, the last one with native histograms. `metrics /path` answers there, " +
			"`metrics @office` at /metrics to whom the matcher lets through. Of sites, pools and servers, `limit` of each have series of their own; " +
			"the others are summed up in one called `other`. The admin endpoint has the same at GET /metrics.",
		Example: "metrics @office /metrics",
		Args:    []spec.Arg{{Name: "PATH", Kind: spec.Pattern, Optional: true, Default: "/metrics", Doc: "where the metrics are, unless a path stands for the matcher"}},
		Options: []spec.Word{{Name: "limit", Default: "1000", Doc: "how many sites, pools and servers have series of their own",
			Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 100_000, Doc: "of each kind"}}}},
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) {
		h := &metricsPage{Exporter: metrics.New(env.Census, int(n.OptionInt("limit")))}
		if !strings.HasPrefix(n.WhenName, "/") {
			p, err := matcher.NewPattern(n.Text(0), false)
			if err != nil {
				return nil, err
			}
			h.path = &p
		}
		return h, nil
	},
}

type metricsPage struct {
	*metrics.Exporter
	path *matcher.Pattern // nil: the matcher has seen to it
}

// errScrapes is what a scrape gets beyond those that are served at a time.
var errScrapes = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 503, Cause: metrics.ErrBusy.Error()}

// errMetricsMethod refuses what would change something.
var errMetricsMethod = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 405, Cause: "metrics can only be read"}

// Handle answers with the metrics of the moment.
func (h *metricsPage) Handle(x *flow.Exchange) (bool, error) {
	if h.path != nil && !h.path.Match(x.Req.Path) {
		return false, nil
	}
	if x.Req.Method != "GET" && x.Req.Method != "HEAD" {
		return false, errMetricsMethod
	}
	format, contentType := metrics.Negotiate(joined(&x.Req.Header, "accept"))
	r := &x.Resp
	r.Status, r.ContentLength = 200, -1
	r.Header.Add("Content-Type", contentType)
	r.Header.Add("Cache-Control", "no-store")
	r.Header.Add("Vary", "Accept, Accept-Encoding")
	if x.Req.Method == "HEAD" {
		x.Record.Terminate('L', 'R')
		if err := x.Start(); err != nil {
			return true, err
		}
		return true, x.Finish()
	}
	to := &answerWriter{x: x}
	var w io.Writer = to
	if strings.Contains(joined(&x.Req.Header, "accept-encoding"), "gzip") {
		r.Header.Add("Content-Encoding", "gzip")
		z := gzips.Get().(*gzip.Writer)
		defer gzips.Put(z)
		z.Reset(to)
		defer z.Reset(io.Discard)
		w = z
	}
	err := h.Write(w, format)
	if errors.Is(err, metrics.ErrBusy) {
		return false, errScrapes
	}
	x.Record.Terminate('L', 'R')
	if z, ok := w.(*gzip.Writer); ok && err == nil {
		err = z.Close()
	}
	if err != nil {
		return true, err
	}
	return true, x.Finish()
}

// joined gives all lines of a field (RFC 9110 §5.3).
func joined(h *flow.Header, name string) string {
	var all []string
	for v := range h.Values(name) {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}

var gzips = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	return z
}}

// answerWriter writes an answer's body, and its head before.
type answerWriter struct{ x *flow.Exchange }

// Write implements io.Writer.
func (w *answerWriter) Write(p []byte) (int, error) {
	if !w.x.Started() {
		if err := w.x.Start(); err != nil {
			return 0, err
		}
	}
	return w.x.Write(p)
}
