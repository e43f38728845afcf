package pool

import (
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// directive gives the last directive of that word, or, since a pool that says
// nothing has its timeouts and its queue as well, one that consists of the
// vocabulary's defaults.
func directive(body []config.Node, w *spec.Word) *config.Node {
	n := config.Node{Word: w.Name, Variant: w.Variant, Defaulted: true}
	if given := config.Last(body, w.Name); given != nil {
		n = *given
	}
	complete(&n, w)
	return &n
}

// complete adds the arguments and options that are absent and have a default.
func complete(n *config.Node, w *spec.Word) {
	words := []*spec.Word{w}
	if v := w.VariantNamed(n.Variant); v != nil {
		words = append(words, v)
	}
	options := n.Options[:len(n.Options):len(n.Options)]
	args := n.Args[:len(n.Args):len(n.Args)]
	i := 0
	for _, w := range words {
		for j := range w.Args {
			if a := &w.Args[j]; i >= len(args) && a.Default != "" {
				args = append(args, value(a, a.Default))
			}
			i++
		}
		for j := range w.Options {
			o := &w.Options[j]
			if o.Default != "" && n.Option(o.Name) == nil {
				options = append(options, config.Node{Word: o.Name, Defaulted: true,
					Args: []config.Value{value(&o.Args[0], o.Default)}})
			}
		}
	}
	n.Args, n.Options = args, options
}

// value reads a default of the vocabulary. The kinds that pools have are enough;
// a default that does not read is a mistake in this package, which its test
// finds.
func value(a *spec.Arg, text string) config.Value {
	v := config.Value{Kind: a.Kind, Text: text}
	switch a.Kind {
	case spec.Duration:
		d, _ := time.ParseDuration(text)
		v.Int = int64(d)
	case spec.Int, spec.Port:
		v.Int, _ = strconv.ParseInt(text, 10, 64)
	case spec.Percent:
		v.Int, _ = strconv.ParseInt(strings.TrimSuffix(text, "%"), 10, 64)
	}
	return v
}
