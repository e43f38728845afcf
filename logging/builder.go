package logging

import (
	"log/slog"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Lender lends the sink of a key, opening it if nobody has it open: the hook for
// the registry of what outlives a configuration.
type Lender func(k Key, open func() (Sink, error)) (Sink, error)

// Builder makes the loggers of one configuration: first Process, then Site for each
// site.
type Builder struct {
	modules Modules
	lend    Lender
	process []entry
}

// entry is one `log` that names a sink.
type entry struct {
	Output
	format *FormatModule // nil: by the site's kind
}

// NewBuilder starts a configuration's loggers.
func NewBuilder(m Modules, lend Lender) *Builder { return &Builder{modules: m, lend: lend} }

// Process takes the directives of the process; those other than `log` are passed
// over.
func (b *Builder) Process(nodes []config.Node) diag.List {
	var faults diag.List
	b.process = b.entries(nodes, &faults)
	return faults
}

// Site gives the logger of a site, Discard if it has none; tcp tells that the site
// passes streams. A warning alone does not keep the logger from working.
func (b *Builder) Site(body []config.Node, tcp bool) (Logger, diag.List) {
	var faults diag.List
	var outputs []*Output
	own := config.Find(body, "log")
	if len(own) == 0 {
		return Tee(b.inherit(nil, tcp)), nil
	}
	for _, n := range own {
		switch n.Variant {
		case Off:
			// Without regard to what stands above or below: silence is what
			// an import's `log` must not undo.
			return Discard, nil
		case Process, "":
			if len(b.process) == 0 {
				d := faults.Add(n.Range, "no-sink", "this log has no sink: the process options name none")
				d.Severity = diag.Warning
				d.Help = append(d.Help, "write `log syslog` in the options block at the top, or a sink here: `log file PATH`")
			}
			outputs = append(outputs, b.inherit(n, tcp)...)
		default:
			if e, ok := b.entry(n, &faults); ok {
				outputs = append(outputs, b.output(e, tcp))
			}
		}
		b.checkFormat(n, tcp, &faults)
	}
	return Tee(outputs), faults
}

// Handlers gives handlers for Loadstar's own messages, one a sink of the process.
func (b *Builder) Handlers() []slog.Handler {
	out := make([]slog.Handler, len(b.process))
	for i, e := range b.process {
		out[i] = NewHandler(e.Sink, e.Level)
	}
	return out
}

func (b *Builder) entries(nodes []config.Node, faults *diag.List) []entry {
	var out []entry
	for _, n := range config.Find(nodes, "log") {
		if e, ok := b.entry(n, faults); ok {
			out = append(out, e)
		}
	}
	return out
}

func (b *Builder) entry(n *config.Node, faults *diag.List) (entry, bool) {
	m := b.modules.sink(n.Variant)
	if m == nil {
		_ = faults.Add(n.Range, "unknown-sink", "unknown log sink %q", n.Variant)
		return entry{}, false
	}
	key, err := m.Key(n)
	if err != nil {
		_ = faults.Add(n.Range, "bad-value", "log %s: %v", n.Variant, err)
		return entry{}, false
	}
	sink, err := b.lend(key, func() (Sink, error) { return m.Open(key) })
	if err != nil {
		_ = faults.Add(n.Range, "sink-unavailable", "log %s: %v", n.Variant, err)
		return entry{}, false
	}
	e := entry{Output: Output{Sink: sink, Level: Info}}
	b.dress(&e, n)
	return e, true
}

// dress gives an entry the options that stand at n.
func (b *Builder) dress(e *entry, n *config.Node) {
	if o := n.Option("level"); o != nil {
		if l, ok := ParseLevel(o.Text(0)); ok {
			e.Level = l
		}
	}
	if name := n.OptionText("format"); name != "" {
		e.format = b.modules.format(name)
	}
	e.DontLogNull = e.DontLogNull || n.Has("dontlognull")
	e.SeparateErrors = e.SeparateErrors || n.Has("separate_errors")
}

// inherit gives the process's outputs, with the options of n laid over theirs.
func (b *Builder) inherit(n *config.Node, tcp bool) []*Output {
	var outputs []*Output
	for _, e := range b.process {
		if n != nil {
			b.dress(&e, n)
		}
		outputs = append(outputs, b.output(e, tcp))
	}
	return outputs
}

func (b *Builder) output(e entry, tcp bool) *Output {
	f := e.format
	if f == nil {
		f = &b.modules.Formats[0]
	}
	// A process's `format httplog` speaks of its HTTP sites; HAProxy, too, falls
	// back to tcplog for the others.
	if tcp && f.Streams != "" {
		f = b.modules.format(f.Streams)
	}
	out := e.Output
	out.Format = f.New()
	return &out
}

func (b *Builder) checkFormat(n *config.Node, tcp bool, faults *diag.List) {
	o := n.Option("format")
	if o == nil || !tcp {
		return
	}
	if f := b.modules.format(o.Text(0)); f != nil && f.Streams != "" {
		d := faults.Add(o.Range, "http-in-tcp-site", "format %q describes HTTP exchanges; this site is tcp", f.Name)
		d.Help = append(d.Help, "write `format "+f.Streams+"`, or leave the option out")
	}
}
