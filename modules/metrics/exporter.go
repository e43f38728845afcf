package metrics

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/loadstar-lb/loadstar/modules/census"
)

// DefaultLimit is how many sites, pools and servers have series of their own
// unless something else is said.
const DefaultLimit = 1000

// atOnce bounds the scrapes in progress: each may take megabytes and a good part
// of a second, and whoever asks for more must not cost traffic anything.
const atOnce = 3

// ErrBusy is given to scrapes beyond those that are served at a time.
var ErrBusy = errors.New("too many scrapes at a time")

// Exporter writes metrics. It is safe for use by many.
type Exporter struct {
	Source census.Source
	Limit  int // how many of a kind have series of their own, at least 1
	busy   chan struct{}
	own    *prometheus.Registry // of the Go runtime and the operating system
}

// New makes an exporter of what a source tells; limit 0 is DefaultLimit.
func New(source census.Source, limit int) *Exporter {
	e := &Exporter{Source: source, Limit: max(cmp.Or(limit, DefaultLimit), 1), busy: make(chan struct{}, atOnce), own: prometheus.NewRegistry()}
	e.own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return e
}

// Negotiate chooses a format by the Accept field of a request (several lines are
// joined by commas, RFC 9110 §5.3), and gives its Content-Type.
func Negotiate(accept string) (f expfmt.Format, contentType string) {
	f = expfmt.NegotiateAccept(map[string][]string{"Accept": {accept}}, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	return f, string(f)
}

// Write writes all families to w. Its error is ErrBusy, before anything was
// written, or w's.
func (e *Exporter) Write(w io.Writer, f expfmt.Format) error {
	select {
	case e.busy <- struct{}{}:
		defer func() { <-e.busy }()
	default:
		return ErrBusy
	}
	buf := bufio.NewWriterSize(w, 64<<10)
	enc := expfmt.NewEncoder(buf, f)
	v := newView(e.Source.Census(), e.Limit)
	for _, d := range families {
		mf := d.gather(v)
		if len(mf.Metric) == 0 {
			continue
		}
		if err := enc.Encode(mf); err != nil {
			return err
		}
	}
	own, err := e.own.Gather()
	if err != nil {
		return err
	}
	for _, mf := range own {
		if err := enc.Encode(mf); err != nil {
			return err
		}
	}
	if c, ok := enc.(expfmt.Closer); ok {
		if err := c.Close(); err != nil {
			return err
		}
	}
	return buf.Flush()
}

// families are all of ours, in the order of their names, which sort before the
// runtime's only by chance: no reader minds.
var families = func() []family {
	all := slices.Concat(processFamilies(), siteFamilies(), poolFamilies(), serverFamilies())
	slices.SortFunc(all, func(a, b family) int { return cmp.Compare(a.name, b.name) })
	return all
}()

// Names gives the names of all families of ours with their labels, for whoever
// checks what is built on them.
func Names() map[string][]string {
	out := make(map[string][]string, len(families))
	for _, f := range families {
		out[f.name] = f.labels
	}
	return out
}

// gather makes the family.
func (f *family) gather(v *view) *dto.MetricFamily {
	return &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: &f.kind, Metric: f.fill(v)}
}
