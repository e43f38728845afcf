package logging

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// bench is a set of modules that keeps the sinks it opened.
type bench struct{ open map[Key]*list }

func (b *bench) modules() Modules {
	return Modules{
		Formats: []FormatModule{
			{Name: "httplog", Streams: "tcplog", New: func(func(flow.Capture) int) Format { return fixedFormat("http") }},
			{Name: "tcplog", New: func(func(flow.Capture) int) Format { return fixedFormat("tcp") }},
		},
		Sinks: []SinkModule{{
			Spec: spec.Word{Name: "file", Args: []spec.Arg{{Name: "PATH", Kind: spec.File}}},
			Key: func(n *config.Node) (Key, error) {
				if n.Text(0) == "bad" {
					return Key{}, errors.New("no such kind of path")
				}
				return Key{Kind: "file", Target: n.Text(0)}, nil
			},
			Open: func(k Key) (Sink, error) {
				if k.Target == "/denied" {
					return nil, errOpen
				}
				b.open[k] = &list{}
				return b.open[k], nil
			},
		}},
	}
}

// lend shares sinks by key, as the registry does.
func (b *bench) lend(k Key, open func() (Sink, error)) (Sink, error) {
	if s := b.open[k]; s != nil {
		return s, nil
	}
	return open()
}

// node makes a checked `log` of what a user would write.
func node(text string) config.Node {
	w := strings.Fields(text)
	n := config.Node{Word: "log", Variant: Process, Range: diag.Range{File: "Lbfile"}}
	if len(w) > 0 {
		switch w[0] {
		case "file":
			n.Variant, n.Args, w = w[0], []config.Value{{Text: w[1]}}, w[2:]
		case Off, "pigeon":
			n.Variant, w = w[0], w[1:]
		}
	}
	for len(w) > 0 {
		o := config.Node{Word: w[0]}
		w = w[1:]
		if o.Word == "level" || o.Word == "format" {
			o.Args, w = []config.Value{{Text: w[0]}}, w[1:]
		}
		n.Options = append(n.Options, o)
	}
	return n
}

func nodes(lines ...string) []config.Node {
	out := []config.Node{{Word: "maxconn"}}
	for _, l := range lines {
		out = append(out, node(l))
	}
	return out
}

func TestBuilder(t *testing.T) {
	for _, c := range []struct {
		name    string
		process []string
		site    []string
		tcp     bool
		want    string // sink:line of a 200, then of a 500, sorted by opening
		fault   string
	}{
		{name: "no log at all", want: ""},
		{name: "the process's", process: []string{"file a"}, want: "a:http,http"},
		{name: "the process's, tcp", process: []string{"file a"}, tcp: true, want: "a:tcp,tcp"},
		{name: "log alone", process: []string{"file a", "file b"}, site: []string{""}, want: "a:http,http b:http,http"},
		{name: "log alone without any", site: []string{""}, want: "", fault: "no-sink"},
		{name: "off", process: []string{"file a"}, site: []string{"off"}, want: "a:"},
		{name: "off wins", process: []string{"file a"}, site: []string{"", "off"}, want: "a:"},
		{name: "replaced", process: []string{"file a"}, site: []string{"file b"}, want: "a: b:http,http"},
		{name: "added", process: []string{"file a"}, site: []string{"", "file b"}, want: "a:http,http b:http,http"},
		{name: "one sink, two levels", process: []string{"file a level err"}, site: []string{"file a"}, want: "a:http,http"},
		{name: "level", process: []string{"file a level err"}, want: "a:"},
		{name: "errors only", process: []string{"file a level err separate_errors"}, want: "a:http"},
		{name: "level laid over", process: []string{"file a"}, site: []string{"level err separate_errors"}, want: "a:http"},
		{name: "format", process: []string{"file a format tcplog"}, want: "a:tcp,tcp"},
		{name: "format laid over", process: []string{"file a format tcplog"}, site: []string{"format httplog"}, want: "a:http,http"},
		{name: "httplog falls back", process: []string{"file a format httplog"}, tcp: true, want: "a:tcp,tcp"},
		{name: "httplog asked of tcp", site: []string{"file a format httplog"}, tcp: true, want: "a:tcp,tcp", fault: "http-in-tcp-site"},
		{name: "cannot open", site: []string{"file /denied"}, fault: "sink-unavailable"},
		{name: "bad argument", site: []string{"file bad"}, fault: "bad-value"},
		{name: "bad in process", process: []string{"file /denied"}, fault: "sink-unavailable"},
		{name: "unknown", site: []string{"pigeon"}, fault: "unknown-sink"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{open: map[Key]*list{}}
			build := NewBuilder(b.modules(), b.lend)
			faults := build.Process(nodes(c.process...))
			body := nodes(c.site...)
			logger, more := build.Site(body, c.tcp)
			faults = append(faults, more...)
			if c.fault == "" && len(faults) > 0 || c.fault != "" && (len(faults) != 1 || faults[0].Rule != c.fault) {
				t.Errorf("faults %v, want %q", faults, c.fault)
			}
			logger.Log(&flow.Record{Status: 200})
			logger.Log(&flow.Record{Status: 500})
			var got []string
			for _, name := range []string{"a", "b"} {
				if s := b.open[Key{Kind: "file", Target: name}]; s != nil {
					got = append(got, name+":"+strings.Join(s.lines, ","))
				}
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %q, want %q", s, c.want)
			}
		})
	}
}

func TestBuilderHandlers(t *testing.T) {
	b := &bench{open: map[Key]*list{}}
	build := NewBuilder(b.modules(), b.lend)
	_ = build.Process(nodes("file a level notice", "file b"))
	for _, h := range build.Handlers() {
		log := slog.New(h)
		log.Info("hello")
		log.Warn("careful")
	}
	a, c := b.open[Key{Kind: "file", Target: "a"}], b.open[Key{Kind: "file", Target: "b"}]
	if len(a.lines) != 1 || len(c.lines) != 2 {
		t.Errorf("%q and %q", a.lines, c.lines)
	}
}

// TestWords: both words stand, each sink has the common options, and a site's `log` may
// stand alone.
func TestWords(t *testing.T) {
	words := (&bench{}).modules().Words()
	if len(words) != 5 { // log twice, capture, mask_query twice
		t.Fatalf("%d words", len(words))
	}
	process, site := words[0], words[1]
	if process.In != spec.InProcess || site.In != spec.InSite || process.Variant != "" || site.Variant != Process {
		t.Errorf("places or variants: %+v", words)
	}
	for _, w := range []*spec.Word{process.VariantNamed("file"), site.VariantNamed("file"), site.VariantNamed(Process)} {
		for _, o := range []string{"level", "format", "dontlognull", "separate_errors"} {
			if w.Option(o) == nil {
				t.Errorf("%s has no option %s", w.Name, o)
			}
		}
	}
	// What `log` alone does not say is the process's affair, level included.
	if d := site.VariantNamed(Process).Option("level").Default; d != "" {
		t.Errorf("`log` alone sets the level to %q", d)
	}
	if process.VariantNamed(Off) != nil || len(site.VariantNamed(Off).Options) != 0 {
		t.Error("off stands in the process, or has options")
	}
}
