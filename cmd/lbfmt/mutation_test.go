package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// mutant is an example with one mistake in it.
type mutant struct {
	src  string
	line int    // where the mistake is, or where it shows (from 1)
	also int    // another line that is as good, 0: none
	want string // for typos: the word that was meant
	what string
}

// mutation makes a mistake at a random place; ok is false if the file has no
// place for it.
type mutation struct {
	name string
	make func(*source, *rand.Rand) (m mutant, ok bool)
}

// source is an example, its tree, and what its words are.
type source struct {
	src   string
	lines []string
	words []found
	v     *spec.Vocabulary
}

// found is a word that a mistake can be made in.
type found struct {
	syntax.Word
	st    *syntax.Statement
	depth int
	first bool
	in    spec.Where // of the block
}

func (s *source) walk(list []*syntax.Statement, depth int, in spec.Where) {
	for _, st := range list {
		inner := in
		if depth == 0 {
			inner = topWhere(st)
		} else if len(st.Words) > 0 && st.Words[0].Is("proxy") {
			inner = spec.InPool
		}
		for i, w := range st.Words {
			s.words = append(s.words, found{w, st, depth, i == 0, in})
		}
		if st.Block != nil {
			s.walk(st.Block.Statements, depth+1, inner)
		}
	}
}

func topWhere(st *syntax.Statement) spec.Where {
	switch {
	case len(st.Words) == 0:
		return spec.InProcess
	case st.Words[0].Is("pool"):
		return spec.InPool
	case strings.HasPrefix(st.Words[0].Text, "tcp:") || strings.HasPrefix(st.Words[0].Text, "tls:"):
		return spec.InTCPSite
	case strings.HasPrefix(st.Words[0].Text, "("), st.Words[0].Is("test"), st.Words[0].Is("import"), st.Words[0].Is("table"):
		return 0
	default:
		return spec.InHTTPSite
	}
}

// pick chooses one of the words that a condition holds for.
func (s *source) pick(r *rand.Rand, good func(*found) bool) (*found, bool) {
	var all []*found
	for i := range s.words {
		if w := &s.words[i]; good(w) {
			all = append(all, w)
		}
	}
	if len(all) == 0 {
		return nil, false
	}
	return all[r.IntN(len(all))], true
}

// replace puts a text in the place of a word.
func (s *source) replace(w *found, text string) mutant {
	return mutant{
		src:  s.src[:w.Range.Start.Offset] + text + s.src[w.Range.End.Offset:],
		line: w.Range.Start.Line, what: fmt.Sprintf("%q for %q", text, w.Raw),
	}
}

// typo is one of the slips of fingers: two letters swapped, one missing, one
// twice, one wrong.
func typo(word string, r *rand.Rand) string {
	i := 1 + r.IntN(len(word)-1)
	switch r.IntN(4) {
	case 0:
		if word[i] != word[i-1] {
			return word[:i-1] + word[i:i+1] + word[i-1:i] + word[i+1:]
		}
		fallthrough
	case 1:
		return word[:i] + word[i+1:]
	case 2:
		return word[:i] + word[i:i+1] + word[i:]
	default:
		c := "qzxk"[r.IntN(4)]
		return word[:i] + string(c) + word[i+1:]
	}
}

// misspell makes a typo in a word; want is how it is suggested.
func (s *source) misspell(r *rand.Rand, good func(*found) bool) (mutant, bool) {
	w, ok := s.pick(r, func(w *found) bool { return w.Quote == syntax.Plain && len(w.Text) > 3 && good(w) })
	if !ok {
		return mutant{}, false
	}
	m := s.replace(w, typo(w.Text, r))
	m.want = w.Text
	return m, true
}

func (s *source) isDirective(w *found) bool {
	return w.first && w.depth > 0 && w.in != 0 && s.v.Directive(w.in, w.Text) != nil
}

// owner gives the directive of a word's line.
func (s *source) owner(w *found) *spec.Word {
	if w.in == 0 || w.depth == 0 || len(w.st.Words) == 0 {
		return nil
	}
	return s.v.Directive(w.in, w.st.Words[0].Text)
}

// isOption tells an option's name from a value that is called the same: it is
// taken only where the directive knows the name, and nothing of the line is
// quoted or filled in.
func (s *source) isOption(w *found) bool {
	o := s.owner(w)
	if o == nil || w.first || len(w.Text) < 4 || w.Range == w.st.Words[1].Range {
		return false
	}
	if o.Option(w.Text) != nil {
		return true
	}
	for i := range o.Variants {
		if w.st.Words[1].Text == o.Variants[i].Name && o.Variants[i].Option(w.Text) != nil {
			return true
		}
	}
	return false
}

func (s *source) isVariant(w *found) bool {
	o := s.owner(w)
	return o != nil && !w.first && w.Range == w.st.Words[1].Range && o.VariantNamed(w.Text) != nil && o.Variant == ""
}

func isPoolUse(w *found) bool {
	return !w.first && w.depth > 0 && w.st.Words[0].Is("proxy") && w.Range == w.st.Words[len(w.st.Words)-1].Range && !strings.ContainsAny(w.Text, ":/{@")
}

func isMatcherUse(w *found) bool {
	return !w.first && w.depth > 0 && strings.HasPrefix(w.Text, "@") && len(w.Text) > 4
}

// dropLine removes a whole line, of which a block is not opened or closed.
func (s *source) without(from, to int) string {
	kept := slices.Clone(s.lines)
	return strings.Join(slices.Delete(kept, from-1, to), "\n")
}

var units = []string{"ms", "s", "m", "h", "KiB", "MB", "%"}

// number gives the digits of a word that is a number and a unit.
func number(text string) string {
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			return n
		}
	}
	return ""
}

// mutations are twenty kinds of typical mistakes.
var mutations = []mutation{
	{"a typo in a directive", func(s *source, r *rand.Rand) (mutant, bool) { return s.misspell(r, s.isDirective) }},
	{"a typo in an option", func(s *source, r *rand.Rand) (mutant, bool) { return s.misspell(r, s.isOption) }},
	{"a typo in a kind", func(s *source, r *rand.Rand) (mutant, bool) { return s.misspell(r, s.isVariant) }},
	{"a typo in the name of a pool", func(s *source, r *rand.Rand) (mutant, bool) { return s.misspell(r, isPoolUse) }},
	{"a typo in the name of a matcher", func(s *source, r *rand.Rand) (mutant, bool) { return s.misspell(r, isMatcherUse) }},
	{"a typo in a condition", func(s *source, r *rand.Rand) (mutant, bool) {
		return s.misspell(r, func(w *found) bool {
			return w.depth > 0 && strings.HasPrefix(w.st.Words[0].Text, "@") && len(w.st.Words) > 1 && w.Range == w.st.Words[1].Range && s.v.Matcher(w.Text) != nil
		})
	}},
	{"a typo in a word of the top level", func(s *source, r *rand.Rand) (mutant, bool) {
		return s.misspell(r, func(w *found) bool { return w.depth == 0 && (w.Is("pool") || w.Is("test")) })
	}},
	{"a capital", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, s.isDirective)
		if !ok {
			return mutant{}, false
		}
		m := s.replace(w, strings.ToUpper(w.Text[:1])+w.Text[1:])
		m.want = w.Text
		return m, true
	}},
	{"a missing closing brace", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return w.first && w.st.Block != nil })
		if !ok {
			return mutant{}, false
		}
		b := w.st.Block
		return mutant{src: s.without(b.Close.Start.Line, b.Close.Start.Line), line: b.Open.Start.Line, what: "no }"}, true
	}},
	{"a closing brace too many", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return w.first && w.depth == 0 && w.st.Block != nil })
		if !ok {
			return mutant{}, false
		}
		l := w.st.Block.Close.Start.Line
		return mutant{src: strings.Join(slices.Insert(slices.Clone(s.lines), l, "}"), "\n"), line: l + 1, what: "}}"}, true
	}},
	{"a missing opening brace", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return w.first && w.st.Block != nil })
		if !ok {
			return mutant{}, false
		}
		o := w.st.Block.Open
		return mutant{src: s.src[:o.Start.Offset] + s.src[o.End.Offset:], line: o.Start.Line, also: w.st.Block.Close.Start.Line, what: "no {"}, true
	}},
	{"an opening brace on its own line", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return w.first && w.st.Block != nil })
		if !ok {
			return mutant{}, false
		}
		o := w.st.Block.Open
		return mutant{src: s.src[:o.Start.Offset] + "\n" + s.src[o.Start.Offset:], line: o.Start.Line, also: o.Start.Line + 1, what: "{ below"}, true
	}},
	{"a missing closing quote", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return w.Quote == syntax.Double })
		if !ok {
			return mutant{}, false
		}
		return s.replace(w, strings.TrimSuffix(w.Raw, `"`)), true
	}},
	{"a deleted pool", func(s *source, r *rand.Rand) (mutant, bool) {
		use, ok := s.pick(r, isPoolUse)
		if !ok {
			return mutant{}, false
		}
		def, ok := s.pick(r, func(w *found) bool { return w.depth == 0 && !w.first && w.Text == use.Text && w.st.Words[0].Is("pool") })
		if !ok {
			return mutant{}, false
		}
		from, to := def.st.Words[0].Range.Start.Line, def.st.Block.Close.Start.Line
		line := 0 // the first use
		for i := range s.words {
			if w := &s.words[i]; isPoolUse(w) && w.Text == use.Text {
				if line = w.Range.Start.Line; line > to {
					line -= to - from + 1
				}
				break
			}
		}
		return mutant{src: s.without(from, to), line: line, what: "no pool " + use.Text}, true
	}},
	{"a unit that is missing", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return s.owner(w) != nil && number(w.Text) != "" })
		if !ok {
			return mutant{}, false
		}
		return s.replace(w, number(w.Text)), true
	}},
	{"a wrong unit", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return s.owner(w) != nil && number(w.Text) != "" })
		if !ok {
			return mutant{}, false
		}
		return s.replace(w, number(w.Text)+"sec"), true
	}},
	{"a value that is missing", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool {
			return s.owner(w) != nil && number(w.Text) != "" && w.Range == w.st.Words[len(w.st.Words)-1].Range
		})
		if !ok {
			return mutant{}, false
		}
		return s.replace(w, ""), true
	}},
	{"a directive in the wrong block", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return s.isDirective(w) && w.in == spec.InPool })
		if !ok {
			return mutant{}, false
		}
		m := s.replace(w, "redirect")
		return m, true
	}},
	{"a server without its port", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool {
			return w.in == spec.InPool && w.st.Words[0].Is("server") && len(w.st.Words) > 2 && w.Range == w.st.Words[2].Range && strings.Count(w.Text, ":") == 1
		})
		if !ok {
			return mutant{}, false
		}
		host, _, _ := strings.Cut(w.Text, ":")
		return s.replace(w, host), true
	}},
	{"swapped arguments", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool {
			return w.in == spec.InPool && w.first && w.Is("server") && len(w.st.Words) > 2 && w.st.Words[1].Range.Start.Line == w.st.Words[2].Range.Start.Line
		})
		if !ok {
			return mutant{}, false
		}
		a, b := w.st.Words[1], w.st.Words[2]
		return mutant{
			src:  s.src[:a.Range.Start.Offset] + b.Raw + " " + a.Raw + s.src[b.Range.End.Offset:],
			line: a.Range.Start.Line, what: "swapped " + a.Raw,
		}, true
	}},
	{"a line twice", func(s *source, r *rand.Rand) (mutant, bool) {
		w, ok := s.pick(r, func(w *found) bool { return w.depth == 1 && w.first && w.st.Block == nil && w.Is("server") })
		if !ok {
			return mutant{}, false
		}
		l := w.Range.Start.Line
		return mutant{src: strings.Join(slices.Insert(slices.Clone(s.lines), l, s.lines[l-1]), "\n"), line: l + 1, what: "twice"}, true
	}},
}

// examples reads the examples that stand in the project.
func examples(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../caddyfile-examples/*.lb")
	if err != nil || len(names) == 0 {
		t.Fatal("no examples", err)
	}
	out := map[string]string{}
	for _, name := range names {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = string(src)
	}
	return out
}

func environment(string) (string, bool) { return "value", true }

// diagnose is what `lbfmt lint` finds in a text, short of building its graph.
func diagnose(file, src string) diag.List {
	cfg, sources, list := dsl.Load(file, []byte(src), dsl.Options{Vocabulary: inspect.Vocabulary(), Env: environment})
	return lint.Run(lint.Input{Config: cfg, Sources: sources, Vocabulary: inspect.Vocabulary(), Found: list})
}

// TestMutations makes mistakes in the examples. At least 95 % of them are
// reported on their line; so many typos are told what was meant. A mistake
// that leaves the file valid and means something else (a typo in a name that
// is a name, too) counts as missed.
func TestMutations(t *testing.T) {
	const rounds = 8
	if len(mutations) < 20 {
		t.Fatalf("only %d kinds of mistakes", len(mutations))
	}
	r := rand.New(rand.NewPCG(1, 2))
	all, hits, typos, meant := 0, 0, 0, 0
	for _, name := range sortedKeys(examples(t)) {
		src := examples(t)[name]
		s := &source{src: src, lines: strings.Split(src, "\n"), v: inspect.Vocabulary()}
		tree, _ := syntax.Parse(name, []byte(src))
		s.walk(tree.Statements, 0, 0)
		before := diagnose(name, src)
		for i := range mutations {
			for range rounds {
				m, ok := mutations[i].make(s, r)
				if !ok || m.src == src {
					break
				}
				all++
				list := diagnose(name, m.src)
				hit, right := judge(m, list, before)
				if hit {
					hits++
				} else {
					t.Logf("%s:%d: %s, %s: got %v", filepath.Base(name), m.line, mutations[i].name, m.what, list)
				}
				if m.want != "" {
					typos++
					if right {
						meant++
					} else {
						t.Logf("%s:%d: %s, %s: no suggestion: %v", filepath.Base(name), m.line, mutations[i].name, m.what, list)
					}
				}
			}
		}
	}
	t.Logf("%d of %d mistakes on their line, %d of %d typos with what was meant", hits, all, meant, typos)
	if hits*100 < all*95 || meant*100 < typos*95 {
		t.Errorf("%d of %d mistakes are reported on their line, %d of %d typos with what was meant", hits, all, meant, typos)
	}
	if all < 500 {
		t.Errorf("only %d mistakes were made", all)
	}
}

// judge looks for a diagnostic on the line of a mistake that was not there
// without it, and for the word that was meant.
func judge(m mutant, list, before diag.List) (hit, right bool) {
	for _, d := range list {
		if d.Severity == diag.Info || slices.ContainsFunc(before, func(o diag.Diagnostic) bool { return o.Message == d.Message }) {
			continue
		}
		if d.Range.Start.Line == m.line || m.also != 0 && d.Range.Start.Line == m.also {
			hit = true
			for _, h := range d.Help {
				right = right || strings.Contains(h, fmt.Sprintf("%q", m.want))
			}
		}
	}
	return hit, right
}

func sortedKeys(m map[string]string) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
