package pool

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/balancer"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// parse makes a pool's body of its text, by the vocabulary: enough of the
// language for these tests (one directive a line, no quotes).
func parse(t testing.TB, name, text string) *config.Pool {
	t.Helper()
	cfg := &config.Pool{Name: name}
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		found := false
		for _, w := range Words() {
			if w.Name == words[0] {
				n, rest := parseNode(t, &w, words)
				if len(rest) > 0 {
					t.Fatalf("%q: what is %q", line, rest)
				}
				cfg.Body, found = append(cfg.Body, n), true
			}
		}
		if !found {
			t.Fatalf("no directive %q", words[0])
		}
	}
	return cfg
}

func parseNode(t testing.TB, w *spec.Word, words []string) (config.Node, []string) {
	n := config.Node{Word: w.Name}
	words = words[1:]
	args, options := w.Args, w.Options
	if len(w.Variants) > 0 {
		n.Variant = w.Variant
		if len(words) > 0 && w.VariantNamed(words[0]) != nil {
			n.Variant, words = words[0], words[1:]
		}
		v := w.VariantNamed(n.Variant)
		if v == nil {
			t.Fatalf("%s: no variant", w.Name)
		}
		args = append(args[:len(args):len(args)], v.Args...)
		options = append(options[:len(options):len(options)], v.Options...)
	}
	all := &spec.Word{Options: options}
	for i := range args {
		if len(words) == 0 || args[i].Optional && all.Option(words[0]) != nil {
			break
		}
		v := value(&args[i], words[0])
		if args[i].Kind == spec.Int && args[i].Optional && v.Text != fmt.Sprint(v.Int) {
			break
		}
		n.Args, words = append(n.Args, v), words[1:]
		for w.Name == "on" && len(words) > 0 && retryWord.Option(words[0]) == nil {
			n.Args, words = append(n.Args, value(&args[i], words[0])), words[1:]
		}
	}
	for len(words) > 0 {
		o := all.Option(words[0])
		if o == nil {
			break
		}
		var on config.Node
		on, words = parseNode(t, o, words)
		n.Options = append(n.Options, on)
	}
	return n, words
}

// logs collects what a pool logs.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func build(t testing.TB, text string, d Deps) *Pool {
	t.Helper()
	p, errs := New(parse(t, "p", text), d)
	if errs.HasErrors() {
		t.Fatal(errs)
	}
	p.Start()
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// acquire asks for a slot and gives the server's name, or the error's cause.
func acquire(p *Pool, a *balancer.Ask) (*upstream.Server, string) {
	var r flow.Record
	s, err := p.Acquire(a, &r)
	if err != nil {
		return nil, err.Cause
	}
	return s, s.Name
}

// registry lends Lives as the real one does, and keeps them.
type registry map[upstream.Key]*upstream.Live

func (r registry) live(k upstream.Key) *upstream.Live {
	if r[k] == nil {
		r[k] = upstream.NewLive()
	}
	return r[k]
}

const second = time.Second
