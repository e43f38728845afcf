package lsp

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// role is what a word is to the language.
type role uint8

const (
	unknown   role = iota
	directive      // of the vocabulary
	option
	variant
	value
	condition // a matcher's word: host, path…
	operator  // and, or, not
	fixed     // a word of the language itself: pool, import, test
	address   // of a site
	name      // a definition, or a use of one: see kind
	file      // that is imported
)

// kind is what a name names.
type kind uint8

const (
	noKind kind = iota
	pool
	table
	snippet
	matcher
)

var kindNames = [...]string{"", "pool", "table", "snippet", "matcher"}

// token is a word, or a part of one, and what it is.
type token struct {
	role   role
	kind   kind
	define bool // of a name: it is defined here
	// start and end are the bytes that it takes; of a name only those that
	// would be renamed, without @, quotes and parentheses.
	start, end int
	text       string
	word       *spec.Word // of a directive, an option, a variant or a condition
	arg        *spec.Arg  // of a value, or of a name that stands as one
	where      spec.Where
	scope      *scope // of a matcher's name: the block it stands in
}

// frame is one directive or option while the words behind it are read, as in
// dsl/check; here everything is taken as the best that it may be.
type frame struct {
	word, variant *spec.Word
	up            *frame
	args          []spec.Arg
	next          int // the argument that comes next
	matcher       bool
	kind          bool // whether the variant is still to come
	given         []string
}

func newFrame(w *spec.Word, up *frame, where spec.Where) *frame {
	return &frame{
		word: w, up: up, args: w.Args, kind: len(w.Variants) > 0,
		matcher: w.Matcher && where&spec.InSite != 0,
	}
}

func (f *frame) option(name string) *spec.Word {
	if o := f.word.Option(name); o != nil || f.variant == nil {
		return o
	}
	return f.variant.Option(name)
}

// options lists the options of the frame itself.
func (f *frame) options() []*spec.Word {
	var out []*spec.Word
	for i := range f.word.Options {
		out = append(out, &f.word.Options[i])
	}
	if f.variant != nil {
		for i := range f.variant.Options {
			out = append(out, &f.variant.Options[i])
		}
	}
	return out
}

func (f *frame) choose(v *spec.Word) {
	f.kind, f.variant = false, v
	if len(v.Args) > 0 {
		f.args = append(f.args[:len(f.args):len(f.args)], v.Args...)
	}
}

// line reads the words of one line.
type line struct {
	where  spec.Where
	scope  *scope
	tokens []token
	top    *frame // the innermost one
}

// add appends a token for a word, or for a part of it.
func (l *line) add(t token, r diag.Range) *token {
	t.start, t.end, t.where, t.scope = r.Start.Offset, r.End.Offset, l.where, l.scope
	l.tokens = append(l.tokens, t)
	return &l.tokens[len(l.tokens)-1]
}

// read takes the words behind a directive.
func (l *line) read(words []syntax.Word) {
	for i := range words {
		l.word(&words[i], len(words)-i-1)
	}
}

// word takes one word; left is how many come behind it.
func (l *line) word(w *syntax.Word, left int) {
	f := l.top
	if f.matcher {
		f.matcher = false
		if l.matcher(f, w, left) {
			return
		}
	}
	if f.kind {
		f.kind = false
		if v := f.word.VariantNamed(w.Text); v != nil && w.Quote == syntax.Plain {
			f.choose(v)
			l.add(token{role: variant, text: w.Text, word: v}, w.Range)
			return
		}
		if v := f.word.VariantNamed(f.word.Variant); v != nil {
			f.choose(v)
		} else if len(f.args) == 0 {
			l.add(token{role: unknown, text: w.Text, word: f.word}, w.Range)
			return
		}
	}
	needed := f.next < len(f.args) && !f.args[f.next].Optional && !anyText(f.args[f.next].Kind)
	if w.Quote == syntax.Plain && !(f.next < len(f.args) && !f.args[f.next].Optional && (!needed || accepts(&f.args[f.next], w.Text))) {
		if l.option(w) {
			return
		}
	}
	for f.next < len(f.args) && f.args[f.next].Optional && !accepts(&f.args[f.next], w.Text) {
		f.next++
	}
	if f.next < len(f.args) {
		l.value(w, &f.args[f.next])
		if a := &f.args[f.next]; !a.Variadic {
			f.next++
		} else if !a.Optional {
			f.args = append([]spec.Arg{}, f.args...)
			f.args[f.next].Optional = true // one is there
		}
		return
	}
	if w.Quote == syntax.Plain && l.option(w) {
		return
	}
	l.add(token{role: unknown, text: w.Text, word: f.word}, w.Range)
}

// matcher takes a matcher in front of the arguments.
func (l *line) matcher(f *frame, w *syntax.Word, left int) bool {
	if isMatcher(w) {
		l.name(w, matcher, false)
		return true
	}
	if w.Quote != syntax.Plain || w.Text[0] != '/' {
		return false
	}
	if len(f.args) > 0 && !f.args[0].Optional && left < required(f.args) {
		return false // the path is the argument itself
	}
	l.add(token{role: value, text: w.Text, arg: &pathArg}, w.Range)
	return true
}

var pathArg = spec.Arg{Name: "MATCHER", Kind: spec.Pattern, Doc: "a path, with * for any text: the directive runs for requests to it only"}

func isMatcher(w *syntax.Word) bool {
	return w.Quote == syntax.Plain && len(w.Text) > 1 && w.Text[0] == '@'
}

func required(args []spec.Arg) int {
	n := 0
	for i := range args {
		if !args[i].Optional {
			n++
		}
	}
	return n
}

// option takes an option of the frame or of one further out.
func (l *line) option(w *syntax.Word) bool {
	for f := l.top; f != nil; f = f.up {
		if o := f.option(w.Text); o != nil {
			f.given = append(f.given, o.Name)
			l.add(token{role: option, text: w.Text, word: o}, w.Range)
			l.top = newFrame(o, f, 0)
			return true
		}
	}
	return false
}

// value takes a word as an argument.
func (l *line) value(w *syntax.Word, a *spec.Arg) {
	switch {
	case a.Kind == spec.PoolRef && !strings.ContainsAny(w.Text, ":/{"):
		l.name(w, pool, false).arg = a
	case a.Kind == spec.TableRef && !strings.ContainsAny(w.Text, "{"):
		l.name(w, table, false).arg = a
	default:
		l.add(token{role: value, text: w.Text, arg: a}, w.Range)
	}
}

// name takes a word as a name.
func (l *line) name(w *syntax.Word, k kind, define bool) *token {
	r, text := w.Range, w.Text
	switch {
	case w.Quote == syntax.Double && len(w.Raw) == len(text)+2:
		r.Start.Offset++
		r.End.Offset--
	case k == matcher && strings.HasPrefix(text, "@"):
		r.Start.Offset++
		text = text[1:]
	case k == snippet && define:
		r.Start.Offset++
		r.End.Offset--
		text = strings.Trim(text, "()")
	}
	return l.add(token{role: name, kind: k, define: define, text: text}, r)
}

func anyText(k spec.Kind) bool {
	switch k {
	case spec.String, spec.Template, spec.Pattern, spec.File:
		return true
	default:
		return false
	}
}

// accepts reports whether a word looks like a value of an argument.
func accepts(a *spec.Arg, text string) bool {
	if strings.HasPrefix(text, "{") {
		return true // what is filled in may be anything
	}
	switch a.Kind {
	case spec.Enum:
		for _, w := range a.Words {
			if w == text {
				return true
			}
		}
		return false
	case spec.Int, spec.Port, spec.Status, spec.Statuses, spec.Duration, spec.Size, spec.Rate, spec.Percent:
		return text != "" && ('0' <= text[0] && text[0] <= '9' || text[0] == '-')
	case spec.Address, spec.SinkAddr, spec.Network:
		return strings.ContainsAny(text, ":/.")
	default:
		return true
	}
}
