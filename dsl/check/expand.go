package check

import (
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// place is where something stands: its range, and what brought it there.
type place struct {
	rng  diag.Range
	from *origin
}

// origin says how statements came to be read: the file itself (no parent), or
// an import. Statements of a snippet carry its arguments here.
type origin struct {
	parent  *origin
	at      diag.Range // the import
	what    string     // `snippet "secure"`, `file "sites/a.lb"`
	file    string     // relative imports start from its directory
	snippet *snippet
	args    []word
	depth   int
}

// labels adds the chain of imports, the nearest first.
func (o *origin) labels(to []diag.Label) []diag.Label {
	for ; o != nil && o.parent != nil; o = o.parent {
		to = append(to, diag.Label{Range: o.at, Message: o.what + " is imported here"})
	}
	return to
}

// word is a word after substitution.
type word struct {
	text string
	// plain says that the word was written without quotes and that nothing of
	// it came from the environment: only such words have a meaning in the
	// language (option names, `and`, matchers); others are values.
	plain bool
	// bare says that it was written without quotes and does not begin with
	// something substituted: it may then be a path for a matcher.
	bare bool
	// bad says that something wrong with it was reported already.
	bad bool
	place
}

// is reports whether the word is the given word of the language.
func (w word) is(text string) bool { return w.plain && w.text == text }

// stmt is a statement after import and substitution of its words. Its block is
// still as it was read, since what stands in it decides how to go on.
type stmt struct {
	words []word
	block *syntax.Block
	place // from the first to the last word
}

// name gives the first word, or an empty one.
func (s stmt) name() word {
	if len(s.words) == 0 {
		return word{place: s.place}
	}
	return s.words[0]
}

// expand gives the statements of a block: words substituted, imports replaced
// by what they bring.
func (c *checker) expand(in []*syntax.Statement, o *origin) []stmt {
	return c.expandInto(make([]stmt, 0, len(in)), in, o)
}

func (c *checker) expandInto(out []stmt, in []*syntax.Statement, o *origin) []stmt {
	for _, s := range in {
		if c.tooMany(s, o) {
			return out
		}
		if name := snippetName(s); name != "" {
			c.errorf(place{s.Words[0].Range, o}, "misplaced-directive", "a snippet is defined at the top level, not in a block")
			continue
		}
		st := c.statement(s, o)
		if st.name().is("import") {
			out = c.importInto(out, st)
		} else {
			out = append(out, st)
		}
	}
	return out
}

// statement substitutes the words of a statement.
func (c *checker) statement(s *syntax.Statement, o *origin) stmt {
	st := stmt{block: s.Block, place: place{s.Range, o}}
	if len(s.Words) == 0 {
		st.rng = s.Block.Open
		return st
	}
	st.words = c.takeWords(len(s.Words))
	for i := range s.Words {
		st.words = c.substitute(st.words, &s.Words[i], o)
	}
	st.rng.End = s.Words[len(s.Words)-1].Range.End
	return st
}

// takeWords gives an empty list of words with room for n: one allocation
// serves many lines.
func (c *checker) takeWords(n int) []word {
	const slab = 256
	if n > len(c.wordSlab) {
		c.wordSlab = make([]word, max(n, slab))
	}
	taken := c.wordSlab[:0:n]
	c.wordSlab = c.wordSlab[n:]
	return taken
}

// tooMany counts statements, so that snippets which import each other twice
// over cannot fill the memory.
func (c *checker) tooMany(s *syntax.Statement, o *origin) bool {
	if c.statements++; c.statements > maxStatements {
		c.exhaust(place{s.Range, o})
	}
	return c.exhausted
}

// fill counts what substitution brings, since arguments and variables can be
// doubled at each step too. It reports false when there is no room for it.
func (c *checker) fill(at place, words, size int) bool {
	if c.filled += 64*words + size; c.filled > maxFilled {
		c.exhaust(at)
	}
	return !c.exhausted
}

func (c *checker) exhaust(at place) {
	if !c.exhausted {
		c.exhausted = true
		c.errorf(at, "too-large", "imports, arguments and variables make the configuration too large here")
	}
}

// snippet is a definition `(name) { … }`.
type snippet struct {
	name string
	body *syntax.Block
	from *origin
	rng  diag.Range
	used bool
	// takes is how many arguments it mentions, by the highest {args.N};
	// takesAll that it mentions {args.*}.
	takes    int
	takesAll bool
}

// countArgs finds out what arguments the words of a block mention.
func (s *snippet) countArgs(in []*syntax.Statement) {
	for _, st := range in {
		for i := range st.Words {
			_, rest, ok := strings.Cut(st.Words[i].Text, "{args.")
			for ; ok; _, rest, ok = strings.Cut(rest, "{args.") {
				name := rest
				if end := strings.IndexAny(rest, "{}"); end >= 0 {
					name = rest[:end]
				}
				if n, err := strconv.Atoi(name); err == nil {
					s.takes = max(s.takes, min(n, 1<<20)+1)
				}
				s.takesAll = s.takesAll || name == "*"
			}
		}
		if st.Block != nil {
			s.countArgs(st.Block.Statements)
		}
	}
}

// snippetName gives NAME if a statement is a definition (NAME) {…}.
func snippetName(s *syntax.Statement) string {
	if len(s.Words) != 1 || s.Block == nil || s.Words[0].Quote != syntax.Plain {
		return ""
	}
	name, ok := strings.CutPrefix(s.Words[0].Text, "(")
	if !ok {
		return ""
	}
	name, ok = strings.CutSuffix(name, ")")
	if !ok {
		return ""
	}
	return name
}
