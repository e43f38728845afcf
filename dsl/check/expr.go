package check

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// splitParens cuts parentheses from the words they touch: opening ones where a
// condition may begin, closing ones that nothing in the word opens.
func splitParens(in []word) []word {
	out := make([]word, 0, len(in))
	begin := true
	for _, w := range in {
		// More than may be nested are left to be the beginning of a word.
		for n := 0; n <= maxExprDepth && begin && w.bare && len(w.text) > 1 && w.text[0] == '('; n++ {
			out = append(out, word{text: "(", plain: true, place: w.place})
			w.text = w.text[1:]
		}
		closing := 0
		if w.bare {
			over := min(strings.Count(w.text, ")")-strings.Count(w.text, "("), maxExprDepth+1)
			for over > 0 && len(w.text) > 1 && strings.HasSuffix(w.text, ")") {
				w.text = w.text[:len(w.text)-1]
				over--
				closing++
			}
		}
		out = append(out, w)
		for range closing {
			out = append(out, word{text: ")", plain: true, place: w.place})
		}
		begin = closing == 0 && (w.is("(") || w.is("and") || w.is("or") || w.is("not"))
	}
	return out
}

// exprReader reads `or` of `and` of `not`, by recursive descent.
type exprReader struct {
	c     *checker
	sc    scope
	toks  []word
	i     int
	depth int
	size  int // conditions so far
	at    place
}

const maxExprDepth = 100

func (r *exprReader) next() (word, bool) {
	if r.i < len(r.toks) {
		return r.toks[r.i], true
	}
	return word{}, false
}

func (r *exprReader) accept(text string) bool {
	if w, ok := r.next(); ok && w.is(text) {
		r.i++
		return true
	}
	return false
}

func (r *exprReader) or() (config.Expr, bool)  { return r.chain("or", config.Or, r.and) }
func (r *exprReader) and() (config.Expr, bool) { return r.chain("and", config.And, r.not) }

// chain reads operands joined by one operator.
func (r *exprReader) chain(operator string, op config.Op, operand func() (config.Expr, bool)) (config.Expr, bool) {
	first, ok := operand()
	if !ok {
		return first, false
	}
	kids := []config.Expr{first}
	for r.accept(operator) {
		e, ok := operand()
		if !ok {
			return first, false
		}
		kids = append(kids, e)
	}
	if len(kids) == 1 {
		return first, true
	}
	whole := first.Range
	whole.End = kids[len(kids)-1].Range.End
	return config.Expr{Op: op, Kids: kids, Range: whole}, true
}

func (r *exprReader) not() (config.Expr, bool) {
	w, ok := r.next()
	if !ok {
		last := r.at
		if len(r.toks) > 0 {
			last = r.toks[len(r.toks)-1].place
		}
		r.c.errorf(last, "missing-argument", "a condition is missing at the end of the expression")
		return config.Expr{}, false
	}
	if r.depth++; r.depth > maxExprDepth {
		r.c.errorf(w.place, "too-deep", "conditions may be nested %d deep", maxExprDepth)
		return config.Expr{}, false
	}
	defer func() { r.depth-- }()
	switch {
	case r.accept("not"):
		e, ok := r.not()
		return config.Expr{Op: config.Not, Kids: []config.Expr{e}, Range: w.rng}, ok
	case r.accept("("):
		e, ok := r.or()
		if ok && !r.accept(")") {
			if t, more := r.next(); more {
				r.unexpected(t)
			} else {
				r.c.errorf(w.place, "syntax", "this parenthesis is not closed")
			}
			return e, false
		}
		return e, ok
	case isMatcherName(w):
		r.i++
		e := r.c.named(w, r.sc)
		if e == nil || r.c.exhausted {
			return config.Expr{}, false
		}
		r.size += r.sc.names.find(w.text[1:]).size
		return *e, true
	default:
		r.i++
		return r.test(w)
	}
}

// test reads one matcher with its values.
func (r *exprReader) test(w word) (config.Expr, bool) {
	r.size++
	m := r.c.opt.Vocabulary.Matcher(w.text)
	if m == nil || !w.plain {
		d := r.c.errorf(w.place, "unknown-matcher", "unknown matcher %q", w.text)
		if w.is("and") || w.is("or") || w.is(")") {
			d.Message = "a condition is missing before " + quoted(w.text)
		} else {
			suggest(d, w.text, r.c.matcherNames(r.sc.where))
		}
		return config.Expr{}, false
	}
	if m.In&r.sc.where == 0 {
		if r.sc.where == spec.InTCPSite {
			d := r.c.errorf(w.place, "http-in-tcp-site", "`%s` reads HTTP requests; this site is tcp", m.Name)
			d.Help = append(d.Help, "to see requests, terminate TLS in an https site")
		} else {
			r.c.errorf(w.place, "misplaced-matcher", "`%s` reads TCP streams; this site is HTTP", m.Name)
		}
	}
	start := r.i
	for r.i < len(r.toks) && !isOperator(r.toks[r.i]) {
		r.i++
	}
	values := r.toks[start:r.i]
	fixed := len(m.Args)
	if fixed > 0 && m.Args[fixed-1].Variadic {
		fixed--
	}
	for k := fixed; k < len(values); k++ {
		if v := values[k]; v.plain && r.c.opt.Vocabulary.Matcher(v.text) != nil {
			d := r.c.errorf(v.place, "missing-operator", "`%s` is read as a value of `%s` here", v.text, m.Name)
			d.Help = append(d.Help, "write `and "+v.text+"` or `or "+v.text+"`; if the value is meant, put it in quotes")
			return config.Expr{}, false
		}
	}
	n := config.Node{Word: m.Name, Range: w.rng}
	f := &frame{word: &spec.Word{Name: m.Name, Args: m.Args}, node: &n, at: w.place}
	args := &reader{c: r.c, words: values, sc: r.sc}
	args.args(f)
	args.leftover(f)
	at := w.rng
	if len(values) > 0 && values[len(values)-1].rng.File == at.File {
		at.End = values[len(values)-1].rng.End
	}
	return config.Expr{Op: config.Test, Word: m.Name, Args: n.Args, Range: at}, !f.bad
}

func isOperator(w word) bool {
	return w.is("and") || w.is("or") || w.is("not") || w.is("(") || w.is(")")
}

func (r *exprReader) unexpected(w word) {
	d := r.c.errorf(w.place, "syntax", "unexpected %q in the expression", w.text)
	d.Help = append(d.Help, "conditions are joined by `and` and `or`")
}

func (c *checker) matcherNames(where spec.Where) []string {
	out := []string{"and", "or", "not"}
	for i := range c.opt.Vocabulary.Matchers {
		if m := &c.opt.Vocabulary.Matchers[i]; m.In&where != 0 {
			out = append(out, m.Name)
		}
	}
	return out
}
