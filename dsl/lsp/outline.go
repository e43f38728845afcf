package lsp

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// outline lists sites, pools, snippets and tests, and in them matchers,
// servers and what opens a block.
func (s *server) outline(d *document, _ *placeParams) (any, error) {
	_, f := s.of(d.file)
	if f == nil {
		return []symbol{}, nil
	}
	return s.symbols(d, f.tree.Statements, 0), nil
}

func (s *server) symbols(d *document, list []*syntax.Statement, depth int) []symbol {
	out := []symbol{}
	for _, st := range list {
		k, ok := symbolKind(st, depth)
		if !ok {
			continue
		}
		sy := symbol{Kind: k, Range: d.rangeOf(st.Range), Selection: d.rangeOf(st.Range)}
		if len(st.Words) == 0 {
			sy.Name, sy.Selection = "{ }", d.rangeOf(st.Block.Open)
		} else {
			r := st.Words[0].Range
			r.End = st.Words[len(st.Words)-1].Range.End
			sy.Selection = d.rangeOf(r)
			sy.Name, sy.Detail = symbolName(st)
		}
		if st.Block != nil {
			sy.Children = s.symbols(d, st.Block.Statements, depth+1)
		}
		out = append(out, sy)
	}
	return out
}

// symbolName names what a user would look for: the name, not the word in
// front of it.
func symbolName(st *syntax.Statement) (label, detail string) {
	const longest = 80
	words := make([]string, min(len(st.Words), longest))
	for i := range words {
		words[i] = clip(strings.Join(strings.Fields(st.Words[i].Text), " "), longest)
	}
	label, detail = words[0], strings.Join(words[1:], " ")
	switch label {
	case "pool", "test", "table", "server":
		if len(words) > 1 {
			label, detail = words[1], strings.Join(append(words[:1:1], words[2:]...), " ")
		}
	}
	if label == "" {
		label = `""`
	}
	return clip(label, longest), clip(detail, longest)
}

func clip(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

func symbolKind(st *syntax.Statement, depth int) (int, bool) {
	if len(st.Words) == 0 {
		return symbolModule, true
	}
	switch w := &st.Words[0]; {
	case isMatcher(w):
		return symbolVariable, true
	case w.Is("server") && len(st.Words) > 1:
		return symbolField, true
	case st.Block == nil:
		return 0, false
	case w.Is("pool"):
		return symbolClass, true
	case w.Is("test"):
		return symbolEvent, true
	case w.Is("table"):
		return symbolStruct, true
	case strings.HasPrefix(w.Text, "("):
		return symbolFunction, true
	case depth == 0:
		return symbolNamespace, true
	}
	return symbolMethod, true
}
