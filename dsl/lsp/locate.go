package lsp

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// locate finds the block and the line that an offset is in; false if nothing
// can be proposed there.
func (c *completion) locate(f *fileIndex, offset int) bool {
	c.at, c.block = f.whole, f.tree.Statements
	for again := true; again; {
		again = false
		for _, st := range c.block {
			b := st.Block
			if b == nil || b.Open.End.Offset > offset || stuck(st, offset) {
				continue
			}
			if offset < b.Close.End.Offset || b.Close.Start == b.Close.End {
				c.at, c.block, again = f.blocks[b], b.Statements, true
				break
			}
		}
	}
	if inComment(f.tree, c.d.src, offset) {
		return false
	}
	start, end := offset, offset
	for _, st := range c.block {
		if len(st.Words) == 0 || st.Words[0].Range.Start.Offset > offset {
			continue
		}
		last := st.Words[len(st.Words)-1].Range.End.Offset
		if last < offset && !sameLine(c.d.src[last:offset]) {
			continue
		}
		if st.Block != nil && st.Block.Open.Start.Offset < offset && !stuck(st, offset) {
			continue
		}
		for i := range st.Words {
			w := &st.Words[i]
			if i == len(st.Words)-1 && stuck(st, offset) {
				start = w.Range.Start.Offset
				break
			}
			if w.Range.End.Offset < offset {
				c.words = append(c.words, *w)
			} else if w.Range.Start.Offset < offset {
				start, end = w.Range.Start.Offset, w.Range.End.Offset
			}
		}
	}
	c.prefix = c.d.src[start:offset]
	c.edit = c.d.span(start, end)
	return true
}

// stuck reports whether an offset is behind a brace that touches the word in
// front of it: the beginning of a placeholder, which the parser takes for that
// of a block.
func stuck(st *syntax.Statement, offset int) bool {
	if st.Block == nil || len(st.Words) == 0 || st.Block.Open.End.Offset != offset {
		return false
	}
	return st.Words[len(st.Words)-1].Range.End.Offset == st.Block.Open.Start.Offset
}

// sameLine reports whether no newline ends the line in a text between words.
func sameLine(between string) bool {
	for {
		head, tail, found := strings.Cut(between, "\n")
		if !found {
			return true
		}
		if !strings.HasSuffix(strings.TrimRight(head, " \t\r"), `\`) {
			return false
		}
		between = tail
	}
}

// inComment reports whether a place is in a comment: the line up to it has a #
// that begins a word, outside of all words of the tree.
func inComment(f *syntax.File, src string, offset int) bool {
	start := strings.LastIndexByte(src[:offset], '\n') + 1
	found := false
	comments(f.Statements, f.Tail, func(c *syntax.Comment) {
		r := c.Range
		found = found || start <= r.Start.Offset && r.Start.Offset < offset
	})
	return found
}

// comments calls a function for every comment.
func comments(list []*syntax.Statement, tail []syntax.Comment, do func(*syntax.Comment)) {
	for _, st := range list {
		for i := range st.Leading {
			do(&st.Leading[i])
		}
		if b := st.Block; b != nil {
			if b.Comment != nil {
				do(b.Comment)
			}
			comments(b.Statements, b.Tail, do)
		}
		if st.Trailing != nil {
			do(st.Trailing)
		}
	}
	for i := range tail {
		do(&tail[i])
	}
}
