package check

import (
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// plan says how the words of a line fall on the arguments of a directive.
type plan struct {
	takes    [8]int // by each argument, how many words
	used     int    // words in all
	refused  int    // the first optional argument that would not take the next word, -1: none
	complete bool   // all required arguments are there, and no word is left
}

// plan tries the words from the reader's place on. A required argument takes
// the next word whatever it is; an optional one takes a word of its kind, if
// enough are left for the required ones behind it; words from the next option
// name on are not looked at.
func (r *reader) plan(f *frame, specs []spec.Arg) plan {
	p := plan{refused: -1, complete: true}
	need := required(specs)
	words := r.words[r.i:]
	for n := range words {
		if n >= need && f.names(words[n]) {
			words = words[:n]
			break
		}
	}
	for k := range min(len(specs), len(p.takes)) {
		a := &specs[k]
		left := words[p.used:]
		room := len(left) - required(specs[k+1:])
		n := 0
		switch {
		case a.Kind == spec.PoolRef && len(left) > 0 && isAddress(left[0].text):
			for n < room { // what is no address is reported as one
				p.complete = p.complete && accepts(a, left[n])
				n++
			}
		case a.Variadic:
			for n < room && !r.misspelt(f, a, left[n]) {
				p.complete = p.complete && accepts(a, left[n])
				n++
			}
			p.complete = p.complete && (n > 0 || a.Optional)
		case !a.Optional:
			if len(left) > 0 && !(f.names(left[0]) && !accepts(a, left[0])) {
				p.complete = p.complete && accepts(a, left[0])
				n = 1
			} else {
				p.complete = false
			}
		case room > 0 && accepts(a, left[0]) && !r.misspelt(f, a, left[0]):
			n = 1
		case room > 0 && p.refused < 0:
			p.refused = k
		}
		p.takes[k] = n
		p.used += n
		if n == 0 && !a.Optional {
			break
		}
	}
	p.complete = p.complete && p.used == len(words)
	return p
}

// misspelt reports a word that an argument should leave alone, since it is
// nearly the name of an option: one of another kind, or, where any text would
// do, one with a single mistake.
func (r *reader) misspelt(f *frame, a *spec.Arg, w word) bool {
	if !w.plain || a.Kind == spec.PoolRef {
		return false
	}
	if !accepts(a, w) {
		return nearest(w.text, f.optionNames()) != ""
	}
	if !anyText(a.Kind) || len(w.text) < 5 || !a.Optional {
		return false
	}
	for _, o := range f.optionNames() {
		if len(o) > 4 && diag.Distance(w.text, o, 1) == 1 {
			return true
		}
	}
	return false
}

// takeValues is takeWords for values.
func (c *checker) takeValues(n int) []config.Value {
	const slab = 256
	if n > len(c.valueSlab) {
		c.valueSlab = make([]config.Value, max(n, slab))
	}
	taken := c.valueSlab[:0:n]
	c.valueSlab = c.valueSlab[n:]
	return taken
}

func required(specs []spec.Arg) int {
	n := 0
	for i := range specs {
		if !specs[i].Optional {
			n++
		}
	}
	return n
}

// args reads the arguments of a frame.
func (r *reader) args(f *frame) {
	specs := f.args()
	if len(specs) == 0 {
		return
	}
	p := r.plan(f, specs)
	given := 0 // arguments up to the last one that was written or has a default
	values := r.c.takeValues(max(len(specs), p.used))
	for k := range min(len(specs), len(p.takes)) {
		a := &specs[k]
		taken := r.words[r.i : r.i+p.takes[k]]
		r.i += len(taken)
		switch {
		case len(taken) > 0 && a.Kind == spec.PoolRef:
			values = append(values, r.pool(f, taken)...)
		case len(taken) > 0:
			for _, w := range taken {
				if a.Kind == spec.TableRef {
					r.c.tableUses = append(r.c.tableUses, w)
				}
				values = append(values, r.value(f, a, w))
			}
		case !a.Optional:
			r.missing(f, a)
			f.node.Args = values[:given]
			return
		case a.Default != "":
			values = append(values, r.c.value(a, word{text: a.Default, place: f.at}, r.sc))
		default:
			values = append(values, config.Value{Kind: a.Kind, Range: f.at.rng})
			continue
		}
		given = len(values)
	}
	if w, ok := r.peek(); ok && p.refused >= 0 && p.takes[p.refused] == 0 && !f.names(w) && nearest(w.text, f.optionNames()) == "" {
		r.value(f, &specs[p.refused], w) // says what it should have been
		r.i++
	}
	f.node.Args = values[:given]
}

// value reads one value. In messages the argument of a word that has only one
// goes by the word's name: "weight must be…", not "N must be…".
func (r *reader) value(f *frame, a *spec.Arg, w word) config.Value {
	if len(f.args()) == 1 && a.Kind != spec.Status && a.Kind != spec.Port {
		if _, p := parse(a, w.text); p.text != "" {
			named := *a
			named.Name = f.word.Name
			a = &named
		}
	}
	return r.c.value(a, w, r.sc)
}

func (r *reader) missing(f *frame, a *spec.Arg) {
	d := r.c.errorf(f.at, "missing-argument", "`%s` needs %s", f.title(), a.Name)
	d.Help = append(d.Help, f.usage())
	if a.Kind == spec.Enum {
		d.Help = append(d.Help, a.Name+" is one of: "+list(a.Words))
	}
	f.bad = true
	if r.i < len(r.words) && !f.names(r.words[r.i]) {
		r.i = len(r.words)
	}
}

// pool reads the name of a pool, or addresses, of which it makes one.
func (r *reader) pool(f *frame, words []word) []config.Value {
	if !isAddress(words[0].text) {
		var out []config.Value
		for _, w := range words {
			v := r.c.value(&spec.Arg{Name: "POOL", Kind: spec.PoolRef}, w, r.sc)
			r.c.poolUses = append(r.c.poolUses, w)
			out = append(out, v)
		}
		return out
	}
	if r.sc.site == nil {
		r.c.errorf(words[0].place, "bad-value", "%q is no name of a pool", words[0].text)
		return []config.Value{{Kind: spec.PoolRef, Text: words[0].text, Range: words[0].rng}}
	}
	p := r.c.inlinePool(words, r.sc)
	f.inline = &p
	return []config.Value{{Kind: spec.PoolRef, Text: p.Name, Range: words[0].rng}}
}
