package lint

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// hashArg is what the vocabulary calls an argument that is to be a password's hash.
const hashArg = "HASH"

var plaintextPassword = &Rule{Name: "plaintext-password", Severity: diag.Warning, check: func(p *Pass) {
	p.eachSite(func(s *config.Site) {
		where := spec.InHTTPSite
		if s.TCP {
			where = spec.InTCPSite
		}
		walk(s.Body, nil, func(n *config.Node, _ []*config.Expr) {
			if w := p.Vocabulary.Directive(where, n.Word); w != nil {
				p.hashes(n, w)
			}
		})
	})
}}

// hashes looks at the arguments of a directive and of its options.
func (p *Pass) hashes(n *config.Node, w *spec.Word) {
	args := w.Args
	v := w.VariantNamed(n.Variant)
	if v != nil {
		args = append(args[:len(args):len(args)], v.Args...)
	}
	for i := range min(len(args), len(n.Args)) {
		if args[i].Name == hashArg && !isHash(n.Args[i].Text) {
			d := p.report(n.Args[i].Range, "this is no hash of a password, so it must be the password itself")
			help(d, "make one with `mkpasswd -m bcrypt` or `htpasswd -nB USER`, and write it in its place")
		}
	}
	for i := range n.Options {
		o := &n.Options[i]
		word := w.Option(o.Word)
		if word == nil && v != nil {
			word = v.Option(o.Word)
		}
		if word != nil {
			p.hashes(o, word)
		}
	}
}

// isHash tells a modular crypt hash ($2b$…, $argon2id$…, $6$…), which no
// password looks like.
func isHash(text string) bool {
	return len(text) > 20 && text[0] == '$' && strings.Count(text, "$") >= 3
}
