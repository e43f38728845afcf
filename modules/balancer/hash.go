package balancer

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/modules/template"
)

var hash = Module{
	Spec: spec.Word{
		Name: "hash",
		Doc:  "The same server for the same text, made of placeholders",
		Long: "Requests for which the text is empty take turns. In tcp sites the placeholders of connections can be used. The text is hashed " +
			"as HAProxy's `balance hash` does it.",
		Example: "balance hash {http.cookie.session} consistent",
		Args:    []spec.Arg{{Name: "TEMPLATE", Kind: spec.Template, Doc: "text with at least one placeholder"}},
		Options: hashOptions(),
	},
	New: func(n *config.Node) (Policy, error) {
		place := n.Range
		if len(n.Args) > 0 {
			place = n.Args[0].Range
		}
		t, err := template.Compile(n.Text(0))
		if err != nil {
			return nil, refuse(place, err.Error())
		}
		if _, fixed := t.Static(); fixed {
			return nil, refuse(place, "without a placeholder the text is always the same, and so would the server be",
				"name what requests differ in, as in {http.cookie.session}")
		}
		k := &templateKey{text: t}
		http := map[string]bool{}
		for _, p := range template.Placeholders() {
			http[p.Name] = p.HTTP
		}
		t.Walk(func(_, placeholder string) { k.http = k.http || http[placeholder] })
		return newHash(n, k)
	},
}

// templateKey is a text with placeholders filled in.
type templateKey struct {
	text *template.Template
	http bool // it has placeholders that need a request
}

func (k *templateKey) needs() Need {
	if k.http {
		return NeedsRequest
	}
	return NeedsExchange
}

func (k *templateKey) hash(a *Ask) (uint32, bool) {
	x := a.Exchange
	if x == nil {
		return 0, false
	}
	x.Scratch = k.text.Append(x.Scratch[:0], x)
	if len(x.Scratch) == 0 {
		return 0, false
	}
	return sdbm(0, x.Scratch), true
}
