package graph

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/matcher"
)

// kind is what routes of one kind are made with: of exchanges, or of connections.
type kind[W, H any] struct {
	// maker gives what makes handlers of a word, nil if nothing does.
	maker   func(word string) func(*config.Node, *handler.Env) (H, error)
	compile func(*config.Expr, *matcher.Set) (W, error)
	in      string // where words that nothing is known of stand, for the message
}

// whens compiles the conditions of nodes; false if one of them is wrong.
func (k *kind[W, H]) whens(b *builder, nodes []*config.Node) (all []W, ok bool) {
	for _, n := range nodes {
		when, err := k.compile(n.When, b.matchers)
		if err != nil {
			b.fail(n, err)
			return nil, false
		}
		all = append(all, when)
	}
	return all, true
}

// routes makes the routes of a block, in its order, and gives each to add.
func (k *kind[W, H]) routes(b *builder, env *handler.Env, body []config.Node, add func(n *config.Node, when W, h H)) {
	for i := range body {
		n := &body[i]
		maker := k.maker(n.Word)
		if maker == nil {
			if !isSetting(n.Word) {
				b.errs.Add(n.Range, "unknown-directive", "nothing is known to do `%s`%s", n.Word, k.in)
			}
			continue
		}
		when, err := k.compile(n.When, b.matchers)
		if err != nil {
			b.fail(n, err)
			continue
		}
		h, err := maker(n, env)
		if err != nil {
			b.fail(n, err)
			continue
		}
		add(n, when, h)
	}
}

// exchanges are the routes of HTTP.
func (b *builder) exchanges() *kind[matcher.Matcher, flow.Handler] {
	return &kind[matcher.Matcher, flow.Handler]{compile: matcher.Compile, maker: func(word string) func(*config.Node, *handler.Env) (flow.Handler, error) {
		if m := b.Set.Handler(word); m != nil {
			return m.New
		}
		return nil
	}}
}

// streams are the routes of connections.
func (b *builder) streams() *kind[matcher.ConnMatcher, handler.StreamHandler] {
	return &kind[matcher.ConnMatcher, handler.StreamHandler]{
		compile: matcher.CompileConn, in: " in a tcp site",
		maker: func(word string) func(*config.Node, *handler.Env) (handler.StreamHandler, error) {
			if m := b.Set.Stream(word); m != nil {
				return m.New
			}
			return nil
		},
	}
}
