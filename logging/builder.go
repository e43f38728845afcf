package logging

import (
	"log/slog"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
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
	hide    []string
	files   map[string]Key // by name: two directives must mean the same sink
}

// entry is one `log` that names a sink.
type entry struct {
	Output
	format *FormatModule // nil: by the site's kind
	rate   sampling
}

// NewBuilder starts a configuration's loggers.
func NewBuilder(m Modules, lend Lender) *Builder {
	return &Builder{modules: m, lend: lend, hide: Credentials, files: map[string]Key{}}
}

// Process takes the directives of the process; those that are not about logs are
// passed over.
func (b *Builder) Process(nodes []config.Node) diag.List {
	var faults diag.List
	b.hide = hidden(nodes, b.hide)
	for _, n := range config.Find(nodes, "log") {
		if e, ok := b.entry(n, &faults); ok {
			b.process = append(b.process, e)
		}
	}
	return faults
}

// Site gives the log of a site; tcp tells that the site passes streams. A warning
// alone does not keep it from working.
func (b *Builder) Site(body []config.Node, tcp bool) (*SiteLog, diag.List) {
	s := &site{Builder: b, tcp: tcp, log: &SiteLog{Captures: &flow.Captures{Hide: hidden(body, b.hide)}}}
	captures(body, s.log.Captures)
	own := false
	for _, n := range config.Find(body, "log") {
		if n.Variant == Off && n.When == nil {
			// Without regard to what stands above or below: silence is what
			// an import's `log` must not undo.
			return &SiteLog{}, nil
		}
		own = s.directive(n) || own
	}
	if !own {
		s.inherit(nil, 0)
	}
	if len(s.log.outputs) == 0 {
		return &SiteLog{}, s.faults
	}
	return s.log, s.faults
}

// Handlers gives handlers for Loadstar's own messages, one a sink of the process.
func (b *Builder) Handlers() []slog.Handler {
	out := make([]slog.Handler, len(b.process))
	for i, e := range b.process {
		out[i] = NewHandler(e.Sink, e.Level)
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
	if first, ok := b.files[key.Target]; ok && key.Kind == "file" && first != key {
		d := faults.Add(n.Range, "bad-value", "log file %s is rotated in another way elsewhere", key.Target)
		d.Help = append(d.Help, "write the same `rotate` wherever the file is named")
		return entry{}, false
	}
	if key.Kind == "file" {
		b.files[key.Target] = key
	}
	sink, err := b.lend(key, func() (Sink, error) { return m.Open(key) })
	if err != nil {
		_ = faults.Add(n.Range, "sink-unavailable", "log %s: %v", n.Variant, err)
		return entry{}, false
	}
	e := entry{Output: Output{Sink: sink, Level: Info}}
	b.dress(&e, n, faults)
	return e, true
}

// dress gives an entry the options that stand at n.
func (b *Builder) dress(e *entry, n *config.Node, faults *diag.List) {
	if o := n.Option("level"); o != nil {
		if l, ok := ParseLevel(o.Text(0)); ok {
			e.Level = l
		}
	}
	if o := n.Option("format"); o != nil {
		f, err := b.modules.format(o.Text(0))
		if err != nil {
			_ = faults.Add(o.Range, "bad-value", "format: %v", err)
		}
		e.format = f
	}
	if o := n.Option("sample"); o != nil {
		rate, err := parseSampling(o.Text(0))
		if err != nil {
			_ = faults.Add(o.Range, "bad-value", "sample: %v", err)
		}
		e.rate = rate
	}
	e.DontLogNull = e.DontLogNull || n.Has("dontlognull")
	e.DontLogNormal = e.DontLogNormal || n.Has("dontlog_normal")
	e.SeparateErrors = e.SeparateErrors || n.Has("separate_errors")
}

// site is the building of one site's log.
type site struct {
	*Builder
	tcp    bool
	log    *SiteLog
	faults diag.List
}

// directive takes one `log`, and reports whether it stands in place of the process's.
func (s *site) directive(n *config.Node) bool {
	when := uint64(0)
	if n.When != nil {
		if len(s.log.When) == 64 {
			_ = s.faults.Add(n.Range, "bad-value", "a site has at most 64 `log` with a matcher")
			return false
		}
		when = 1 << len(s.log.When)
		s.log.When = append(s.log.When, n)
	}
	switch n.Variant {
	case Off:
		s.log.silent |= when
		return false
	case Process, "":
		if len(s.process) == 0 {
			d := s.faults.Add(n.Range, "no-sink", "this log has no sink: the process options name none")
			d.Severity = diag.Warning
			d.Help = append(d.Help, "write `log syslog` in the options block at the top, or a sink here: `log file PATH`")
		}
		s.inherit(n, when)
	default:
		if e, ok := s.entry(n, &s.faults); ok {
			s.output(e, when)
		}
	}
	s.checkFormat(n)
	return true
}

// inherit adds the process's outputs, with the options of n laid over theirs.
func (s *site) inherit(n *config.Node, when uint64) {
	for _, e := range s.process {
		if n != nil {
			s.dress(&e, n, &s.faults)
		}
		s.output(e, when)
	}
}

func (s *site) output(e entry, when uint64) {
	f := e.format
	if f == nil {
		f = &s.modules.Formats[0]
	}
	// A process's `format httplog` speaks of its HTTP sites; HAProxy, too, falls
	// back to tcplog for the others.
	if s.tcp && f.Streams != "" {
		f = s.modules.named(f.Streams)
	}
	out := e.Output
	out.When, out.Sample = when, e.rate.sample()
	out.Format = f.New(s.field)
	s.log.outputs = append(s.log.outputs, &out)
}

// field has a value captured for a format, and gives its place in Record.Fields.
func (s *site) field(c flow.Capture) int {
	all := &s.log.Captures.Fields
	for i := range *all {
		if f := &(*all)[i]; f.Place == c.Place && f.Name == c.Name {
			f.Max = max(f.Max, c.Max)
			return i
		}
	}
	*all = append(*all, c)
	return len(*all) - 1
}

func (s *site) checkFormat(n *config.Node) {
	o := n.Option("format")
	if o == nil || !s.tcp {
		return
	}
	if f, _ := s.modules.format(o.Text(0)); f != nil && f.Streams != "" {
		d := s.faults.Add(o.Range, "http-in-tcp-site", "format %q describes HTTP exchanges; this site is tcp", f.Name)
		d.Help = append(d.Help, "write `format "+f.Streams+"`, or leave the option out")
	}
}
