package check

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// frame is one directive or option while it is read; options that stand on one
// line form a chain, the innermost first.
type frame struct {
	word    *spec.Word
	variant *spec.Word // nil without
	node    *config.Node
	up      *frame
	at      place
	given   firsts       // the options that may be given only once
	inline  *config.Pool // the pool that its addresses make, nil: none
	bad     bool         // so little is known that its options are not looked for
}

// option finds an option of the frame itself.
func (f *frame) option(name string) *spec.Word {
	if o := f.word.Option(name); o != nil || f.variant == nil {
		return o
	}
	return f.variant.Option(name)
}

// names reports whether a word names an option here or further out.
func (f *frame) names(w word) bool {
	if !w.plain {
		return false
	}
	for ; f != nil; f = f.up {
		if f.option(w.text) != nil {
			return true
		}
	}
	return false
}

// optionNames lists the options of the frame and of those further out.
func (f *frame) optionNames() []string {
	var out []string
	for ; f != nil; f = f.up {
		for i := range f.word.Options {
			out = append(out, f.word.Options[i].Name)
		}
		if f.variant != nil {
			for i := range f.variant.Options {
				out = append(out, f.variant.Options[i].Name)
			}
		}
	}
	return out
}

// args gives the arguments: the word's own, then the variant's.
func (f *frame) args() []spec.Arg {
	switch {
	case f.variant == nil || len(f.variant.Args) == 0:
		return f.word.Args
	case len(f.word.Args) == 0:
		return f.variant.Args
	default:
		return append(f.word.Args[:len(f.word.Args):len(f.word.Args)], f.variant.Args...)
	}
}

// title names the directive in messages.
func (f *frame) title() string {
	if f.variant != nil {
		return f.word.Name + " " + f.variant.Name
	}
	return f.word.Name
}

// usage gives the line that shows what the word takes.
func (f *frame) usage() string {
	var b strings.Builder
	b.WriteString("usage: ")
	b.WriteString(f.word.Name)
	if f.word.Matcher {
		b.WriteString(" [MATCHER]")
	}
	if f.variant != nil {
		b.WriteString(" " + f.variant.Name)
	}
	for _, a := range f.args() {
		text := a.Name
		if a.Variadic {
			text += "…"
		}
		if a.Optional {
			text = "[" + text + "]"
		}
		b.WriteString(" " + text)
	}
	return b.String()
}

// node checks one statement against its word.
func (c *checker) node(st stmt, w *spec.Word, sc scope) config.Node {
	var n config.Node
	c.nodeInto(&n, st, w, sc)
	return n
}

// nodeInto is node, with the result where it is to stay: nodes are large.
func (c *checker) nodeInto(n *config.Node, st stmt, w *spec.Word, sc scope) {
	n.Word, n.Range = w.Name, st.rng
	if len(st.words) > 0 {
		n.Range.End = st.words[len(st.words)-1].rng.End
		if n.Range.File != st.words[len(st.words)-1].rng.File || n.Range.End.Offset < n.Range.Start.Offset {
			n.Range.End = st.rng.End // the last word is an argument of a snippet
		}
	}
	r := &reader{c: c, words: st.words[1:], sc: sc}
	f := &r.first
	*f = frame{word: w, node: n, at: st.words[0].place}
	r.read(f)
	r.leftover(f)
	c.block(st, f, sc)
	c.finish(f)
}

// reader reads the words of one line behind the directive.
type reader struct {
	c     *checker
	first frame // of the directive itself
	words []word
	i     int
	sc    scope
	// stuck is the innermost option that could not read on; its options are
	// what the next word might have been meant to be.
	stuck *frame
}

func (r *reader) peek() (word, bool) {
	if r.i < len(r.words) {
		return r.words[r.i], true
	}
	return word{}, false
}

// read reads a matcher, a variant, the arguments and the options.
func (r *reader) read(f *frame) {
	if f.word.Matcher && r.sc.site != nil {
		r.matcher(f)
	}
	if !r.variant(f) {
		f.bad = true
		r.i = len(r.words)
		return
	}
	r.args(f)
	r.options(f)
}

// matcher takes the matcher, if the first word is one: @name always is. A path
// is, unless the directive reads completely without a matcher and its first,
// required argument is that path: `redirect /new 301` has none, `redirect
// /old /new` and `respond /health 200` have one.
func (r *reader) matcher(f *frame) {
	w, ok := r.peek()
	if !ok {
		return
	}
	switch {
	case isMatcherName(w):
		f.node.When = r.c.named(w, r.sc)
	case w.bare && strings.HasPrefix(w.text, "/"):
		if specs := f.args(); len(specs) > 0 && !specs[0].Optional && r.plan(f, specs).complete {
			return
		}
		if r.sc.where != spec.InHTTPSite {
			r.c.errorf(w.place, "http-in-tcp-site", "`path` reads HTTP requests; this site is tcp")
		}
		v := r.c.value(&spec.Arg{Name: "PATH", Kind: spec.Pattern}, w, r.sc)
		f.node.When = &config.Expr{Op: config.Test, Word: "path", Args: []config.Value{v}, Range: w.rng}
	default:
		return
	}
	f.node.WhenName = w.text
	r.i++
}

// variant takes the variant of a word that has some.
func (r *reader) variant(f *frame) bool {
	w := f.word
	if len(w.Variants) == 0 {
		return true
	}
	next, ok := r.peek()
	if ok && next.plain {
		if f.variant = w.VariantNamed(next.text); f.variant != nil {
			f.node.Variant = f.variant.Name
			r.i++
			return true
		}
	}
	if w.Variant != "" {
		f.variant = w.VariantNamed(w.Variant)
	}
	if f.variant != nil && (!ok || f.names(next) || len(f.args()) > 0) {
		f.node.Variant = f.variant.Name
		return true
	}
	f.variant = nil
	all := make([]string, len(w.Variants))
	for i := range w.Variants {
		all[i] = w.Variants[i].Name
	}
	if !ok {
		d := r.c.errorf(f.at, "missing-argument", "`%s` needs to be told which", w.Name)
		d.Help = append(d.Help, "one of: "+list(all))
		return false
	}
	d := r.c.errorf(next.place, "unknown-option", "unknown kind %q of %s", next.text, w.Name)
	if !suggest(d, next.text, all) {
		d.Help = append(d.Help, "one of: "+list(all))
	}
	return false
}

// options reads options up to a word that names none of the frame's own.
func (r *reader) options(f *frame) {
	for {
		w, ok := r.peek()
		if !ok {
			return
		}
		var o *spec.Word
		if w.plain {
			o = f.option(w.text)
		}
		if o == nil {
			if r.stuck == nil {
				r.stuck = f
			}
			return
		}
		r.i++
		r.stuck = nil
		n := config.Node{Word: o.Name, Range: w.rng}
		inner := &frame{word: o, node: &n, up: f, at: w.place}
		r.read(inner)
		if last := r.words[r.i-1].rng; last.File == n.Range.File && last.End.Offset > n.Range.End.Offset {
			n.Range.End = last.End
		}
		r.c.finish(inner)
		r.c.addOption(f, n, o, w.place)
	}
}

// leftover reports what nothing on the line could take, and reads on at the
// next word that is an option.
func (r *reader) leftover(f *frame) {
	for !f.bad && r.i < len(r.words) {
		w := r.words[r.i]
		at := f
		if r.stuck != nil {
			at = r.stuck
		}
		r.stuck = nil
		names := at.optionNames()
		switch {
		case len(names) == 0:
			d := r.c.errorf(w.place, "unexpected-argument", "unexpected %q behind %s", w.text, f.title())
			d.Help = append(d.Help, f.usage())
			return
		case nearest(w.text, names) == "" && len(f.optionNames()) == 0:
			d := r.c.errorf(w.place, "unexpected-argument", "unexpected %q behind %s", w.text, at.title())
			d.Help = append(d.Help, at.usage())
		default:
			owner := f
			for o := at; o != nil; o = o.up {
				if nearest(w.text, (&frame{word: o.word, variant: o.variant}).optionNames()) != "" {
					owner = o
					break
				}
			}
			d := r.c.errorf(w.place, "unknown-option", "unknown option %q of %s", w.text, owner.word.Name)
			if !suggest(d, w.text, names) {
				d.Help = append(d.Help, "its options: "+list(f.optionNames()))
			}
		}
		for r.i++; r.i < len(r.words) && !f.names(r.words[r.i]); r.i++ {
		}
		r.options(f)
	}
}

// addOption appends an option to its owner, unless it stands there already.
func (c *checker) addOption(f *frame, n config.Node, o *spec.Word, at place) {
	if !o.Repeat {
		if first, ok := f.given.of(o, place{rng: n.Range}); !ok {
			d := c.errorf(at, "duplicate-option", "`%s` is given twice", o.Name)
			d.Labels = append([]diag.Label{{Range: first.rng, Message: "first given here"}}, d.Labels...)
			return
		}
	}
	f.node.Options = append(f.node.Options, n)
}

// list joins words for a help line, at most a dozen.
func list(words []string) string {
	const most = 24
	if len(words) > most {
		return strings.Join(words[:most], ", ") + ", …"
	}
	return strings.Join(words, ", ")
}
