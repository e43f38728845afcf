package lsp

import (
	"sort"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// fence shows source in Markdown.
func fence(src string) string {
	if src == "" {
		return ""
	}
	return "```\n" + src + "\n```"
}

// definition gives the source of what a name names, or its first lines.
func definition(o *occurrence) string {
	const most, longest = 12, 200
	src := o.file.tree.Src
	start := max(0, o.start-longest) // of a long line only the end is shown
	from := start + strings.LastIndexByte(src[start:o.start], '\n') + 1
	end := min(len(src), o.end+longest)
	if i := strings.IndexByte(src[o.end:end], '\n'); i >= 0 {
		end = o.end + i
	}
	st := statementAt(o.file.tree.Statements, o.start)
	if st != nil && st.Block != nil {
		end = max(end, st.Block.Close.End.Offset)
	}
	end = min(end, from+(most+1)*longest)
	lines := strings.SplitN(strings.TrimRight(src[from:end], "\r\n"), "\n", most+1)
	if len(lines) > most {
		lines[most] = "…"
	}
	indent := lines[0][:len(lines[0])-len(strings.TrimLeft(lines[0], " \t"))]
	for i := range lines {
		lines[i] = clip(strings.TrimPrefix(strings.TrimRight(lines[i], "\r"), indent), longest)
	}
	return strings.Join(lines, "\n")
}

// statementAt finds the statement whose words an offset is in.
func statementAt(list []*syntax.Statement, offset int) *syntax.Statement {
	for {
		i := sort.Search(len(list), func(i int) bool { return list[i].Range.End.Offset >= offset })
		if i == len(list) || list[i].Range.Start.Offset > offset {
			return nil
		}
		if b := list[i].Block; b == nil || offset < b.Open.End.Offset {
			return list[i]
		}
		list = list[i].Block.Statements
	}
}
