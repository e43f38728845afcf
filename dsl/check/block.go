package check

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// block checks the block of a directive or an option: options, and directives
// where the word says so.
func (c *checker) block(st stmt, f *frame, sc scope) {
	if f.inline != nil {
		defer c.keepInline(f)
	}
	if st.block == nil {
		if f.word.Body != 0 && len(f.word.Args) == 0 && len(f.word.Variants) == 0 && len(f.word.Options) == 0 {
			d := c.errorf(f.at, "missing-block", "`%s` needs a block", f.title())
			d.Help = append(d.Help, f.usage()+" { … }")
		}
		return
	}
	at := place{st.block.Open, st.from}
	hasOptions := len((&frame{word: f.word, variant: f.variant}).optionNames()) > 0
	if !hasOptions && f.word.Body == 0 && !f.bad {
		d := c.errorf(at, "unexpected-block", "`%s` takes no block", f.title())
		d.Help = append(d.Help, f.usage())
		return
	}
	inner := sc
	inner.where = bodyWhere(f.word.Body, sc.where)
	if inner.where == spec.InPool {
		inner.site, inner.names = nil, nil
	}
	var body []stmt
	for _, s := range c.expand(st.block.Statements, st.from) {
		if o := f.option(s.name().text); o != nil && len(s.words) > 0 {
			n := c.node(s, o, sc)
			c.addOption(f, n, o, s.name().place)
		} else if f.word.Body != 0 {
			body = append(body, s)
		} else if !f.bad {
			c.unknownInBlock(s, f)
		}
	}
	switch {
	case f.word.Body == 0:
	case inner.where != spec.InPool:
		f.node.Body = c.body(body, inner)
	case f.inline != nil:
		f.inline.Body = append(f.inline.Body, c.body(c.known(body, f, inner), inner)...)
	case len(body) > 0 && !f.bad:
		d := c.errorf(body[0].place, "misplaced-directive", "the pool %q has a block of its own for this", f.node.Text(0))
		d.Help = append(d.Help, "move it to `pool "+f.node.Text(0)+" { … }`")
	}
}

// known drops the statements that are no directive of a pool, and reports them
// with the options of the directive among the suggestions.
func (c *checker) known(in []stmt, f *frame, sc scope) []stmt {
	out := in[:0]
	for _, s := range in {
		if len(s.words) > 0 && c.anyDirective(s.name().text) == nil {
			d := c.errorf(s.name().place, "unknown-directive", "unknown directive or option %q of %s", s.name().text, f.title())
			suggest(d, s.name().text, c.directiveNames(sc.where, f.optionNames()))
			continue
		}
		out = append(out, s)
	}
	return out
}

func (c *checker) unknownInBlock(s stmt, f *frame) {
	name := s.name()
	if len(s.words) == 0 {
		c.errorf(s.place, "syntax", "a block needs a word before its `{`")
		return
	}
	d := c.errorf(name.place, "unknown-option", "unknown option %q of %s", name.text, f.title())
	names := f.optionNames()
	if !suggest(d, name.text, names) {
		d.Help = append(d.Help, "its options: "+list(names))
	}
}

// bodyWhere says where the directives of a block stand: a block that may hold
// those of any site holds those of the site it stands in.
func bodyWhere(body, where spec.Where) spec.Where {
	if body&where != 0 {
		return where
	}
	return body
}

func (c *checker) keepInline(f *frame) {
	c.finishPool(&f.inline.Body, place{f.inline.Range, f.at.from})
	c.inline = append(c.inline, *f.inline)
}

// finish adds the options that are absent and have a default, and reports
// those that must be given.
func (c *checker) finish(f *frame) {
	if f.bad {
		return
	}
	c.finishOptions(f, f.word.Options)
	if f.variant != nil {
		c.finishOptions(f, f.variant.Options)
	}
}

func (c *checker) finishOptions(f *frame, options []spec.Word) {
	for i := range options {
		o := &options[i]
		if !o.Required && o.Default == "" || f.node.Has(o.Name) {
			continue
		}
		if o.Default != "" {
			f.node.Options = append(f.node.Options, c.defaultNode(o, f.node.Range))
			continue
		}
		d := c.errorf(f.at, "missing-option", "`%s` needs the option %q", f.title(), o.Name)
		d.Help = append(d.Help, (&frame{word: o}).usage())
	}
}

// defaultCount is how many nodes fillDefaults may add.
func (c *checker) defaultCount(where spec.Where) int {
	n := 0
	for i := range c.opt.Vocabulary.Directives {
		if w := &c.opt.Vocabulary.Directives[i]; w.Default != "" && w.In&where != 0 {
			n++
		}
	}
	return n
}

// fillDefaults adds the directives that are absent and have a default.
func (c *checker) fillDefaults(body *[]config.Node, where spec.Where, at diag.Range) {
	for i := range c.opt.Vocabulary.Directives {
		w := &c.opt.Vocabulary.Directives[i]
		if w.Default != "" && w.In&where != 0 && config.Last(*body, w.Name) == nil {
			*body = append(*body, c.defaultNode(w, at))
		}
	}
}

// defaultNode makes the node of an absent word. What it holds is shared by all
// that are alike: a configuration is never changed.
func (c *checker) defaultNode(w *spec.Word, at diag.Range) config.Node {
	n, ok := c.defaults[w]
	if !ok {
		n = config.Node{Word: w.Name, Defaulted: true}
		f := &frame{word: w, node: &n, at: place{rng: at}}
		r := &reader{c: c, words: defaultWords(w.Default, f.at)}
		r.read(f)
		r.leftover(f)
		c.finish(f)
		for i := range n.Options {
			n.Options[i].Defaulted = true
		}
		c.defaults[w] = n
	}
	n.Range = at
	return n
}
