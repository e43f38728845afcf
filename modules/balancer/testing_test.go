package balancer

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// servers makes servers 1, 2, 3… with these weights.
func servers(weights ...int) []*upstream.Server {
	out := make([]*upstream.Server, len(weights))
	group := upstream.NewLive()
	for i, w := range weights {
		out[i] = &upstream.Server{Key: upstream.Key{Name: strconv.Itoa(i + 1)}, Index: i, Weight: w,
			Live: upstream.NewLive(), Group: group}
	}
	return out
}

func many(n int) []*upstream.Server {
	weights := make([]int, n)
	for i := range weights {
		weights[i] = 1 + i%3
	}
	return servers(weights...)
}

// policy makes an algorithm of words as they stand behind `balance`.
func policy(t testing.TB, text string) Policy {
	t.Helper()
	p, err := newPolicy(t, text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newPolicy(t testing.TB, text string) (Policy, error) {
	t.Helper()
	words := strings.Fields(text)
	for _, m := range Modules() {
		if m.Spec.Name != words[0] {
			continue
		}
		n, rest := node(&m.Spec, words)
		if len(rest) > 0 {
			t.Fatalf("%q: what is %q", text, rest)
		}
		n.Word, n.Variant = "balance", m.Spec.Name
		return m.New(&n)
	}
	t.Fatalf("no algorithm %q", words[0])
	return nil, nil
}

// node reads words as the language does: arguments, then options, then defaults.
func node(w *spec.Word, words []string) (config.Node, []string) {
	n := config.Node{Word: w.Name}
	words = words[1:]
	for _, a := range w.Args {
		text := a.Default
		if len(words) > 0 && w.Option(words[0]) == nil && (!a.Optional || words[0][0] <= '9') {
			text, words = words[0], words[1:]
		}
		n.Args = append(n.Args, argument(&a, text))
	}
	for len(words) > 0 && w.Option(words[0]) != nil {
		var o config.Node
		o, words = node(w.Option(words[0]), words)
		n.Options = append(n.Options, o)
	}
	for _, o := range w.Options {
		if o.Default != "" && !n.Has(o.Name) {
			n.Options = append(n.Options, config.Node{Word: o.Name, Args: []config.Value{argument(&o.Args[0], o.Default)}})
		}
	}
	return n, words
}

func argument(a *spec.Arg, text string) config.Value {
	v := config.Value{Kind: a.Kind, Text: text}
	switch a.Kind {
	case spec.Duration:
		d, _ := time.ParseDuration(text)
		v.Int = int64(d)
	case spec.Size:
		v.Int, _ = strconv.ParseInt(strings.TrimSuffix(text, "KiB"), 10, 64)
		v.Int <<= 10
	default:
		v.Int, _ = strconv.ParseInt(strings.TrimSuffix(text, "%"), 10, 64)
	}
	return v
}

// every is each algorithm, those that hash in each of their ways.
func every() (texts []string) {
	need := map[string]string{"url_param": " u", "header": " X-Key", "hash": " {http.header.X-Key}"}
	for _, m := range Modules() {
		text := m.Spec.Name + need[m.Spec.Name]
		texts = append(texts, text)
		if m.Spec.Option("consistent") != nil {
			texts = append(texts, text+" consistent", text+" maglev", text+" consistent balance_factor 150%")
		}
	}
	return texts
}

// request is an exchange with a key for whatever looks for one.
func request(key string) *flow.Exchange {
	x := &flow.Exchange{Conn: &flow.Conn{}}
	x.Req.Method = "GET"
	if err := x.Req.Rewrite([]byte("/k" + key + "?u=" + key)); err != nil {
		panic(err)
	}
	x.Req.Original = x.Req.Target
	x.Req.Header.Add("X-Key", key)
	return x
}

// names picks n times and joins the names.
func names(p Picker, n int) string {
	var out strings.Builder
	var a Ask
	for range n {
		if s := p.Pick(&a); s != nil {
			out.WriteString(s.Name)
		} else {
			out.WriteByte('-')
		}
	}
	return out.String()
}
