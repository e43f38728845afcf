package syntax

import (
	"github.com/alecthomas/participle/v2/lexer"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// builder makes the tree of the grammar's nodes and hangs the comments on it:
// they come in the order of the file, and so does the tree.
type builder struct {
	file     *File
	comments []Comment // those not yet hung

	// What is left of the last slabs: a file has many small lines, and an
	// allocation for each list of words and each statement would be felt.
	wordSlab      []Word
	statementSlab []Statement
	slab          int // words in the last slab: they grow with the file
}

// The sizes of slabs, in words.
const (
	firstSlab = 16
	maxSlab   = 512
)

// takeWords gives n empty words.
func (b *builder) takeWords(n int) []Word {
	if n > len(b.wordSlab) {
		b.slab = min(max(firstSlab, 2*b.slab), maxSlab)
		b.wordSlab = make([]Word, max(n, b.slab))
	}
	taken := b.wordSlab[:n:n]
	b.wordSlab = b.wordSlab[n:]
	return taken
}

func (b *builder) takeStatement() *Statement {
	if len(b.statementSlab) == 0 {
		b.statementSlab = make([]Statement, max(b.slab, firstSlab)/4)
	}
	taken := &b.statementSlab[0]
	b.statementSlab = b.statementSlab[1:]
	return taken
}

// lines makes statements of lines up to a place; above is the line number that
// what comes first is measured from, 0 at the top of the file.
func (b *builder) lines(lines []*lineNode, end diag.Pos, above int) ([]*Statement, []Comment) {
	if len(lines) == 0 {
		return nil, b.leading(end.Offset, &above)
	}
	statements := make([]*Statement, 0, len(lines))
	for _, n := range lines {
		st := b.statement(n, &above)
		statements = append(statements, st)
	}
	return statements, b.leading(end.Offset, &above)
}

// leading takes the comments that stand before an offset.
func (b *builder) leading(offset int, above *int) []Comment {
	n := 0
	for n < len(b.comments) && b.comments[n].Range.Start.Offset < offset {
		c := &b.comments[n]
		c.Blank = *above > 0 && c.Range.Start.Line > *above+1
		*above = c.Range.Start.Line
		n++
	}
	taken := b.comments[:n:n]
	b.comments = b.comments[n:]
	return taken
}

// behind takes the comment that stands on the line that ends at an offset.
func (b *builder) behind(end lexer.Token) *Comment {
	if len(b.comments) == 0 || b.comments[0].Range.Start.Offset >= end.Pos.Offset {
		return nil
	}
	c := &b.comments[0]
	b.comments = b.comments[1:]
	return c
}

func (b *builder) statement(n *lineNode, above *int) *Statement {
	st := b.takeStatement()
	start := fromPosition(n.Tokens[0].Pos)
	if len(b.comments) > 0 {
		st.Leading = b.leading(start.Offset, above)
	}
	st.Blank = *above > 0 && start.Line > *above+1
	st.Words = b.words(n.Words.Tokens)
	last := start
	if len(st.Words) > 0 {
		last = st.Words[len(st.Words)-1].Range.End
	}
	if n.Block != nil {
		st.Block = b.block(n.Block)
		last = st.Block.Close.End
	}
	st.Range = diag.Range{File: b.file.Name, Start: start, End: last}
	st.Trailing = b.behind(n.Tokens[len(n.Tokens)-1])
	*above = last.Line
	if st.Trailing != nil {
		*above = st.Trailing.Range.Start.Line
	}
	return st
}

func (b *builder) block(n *blockNode) *Block {
	bl := &Block{Open: b.span(n.Tokens[0]), Close: b.span(n.Tokens[len(n.Tokens)-1])}
	bl.Comment = b.behind(n.Tokens[1])
	above := bl.Open.Start.Line
	if bl.Comment != nil {
		above = bl.Comment.Range.Start.Line
	}
	bl.Statements, bl.Tail = b.lines(n.Lines, bl.Close.Start, above)
	return bl
}

func (b *builder) words(tokens []lexer.Token) []Word {
	if len(tokens) == 0 {
		return nil
	}
	words := b.takeWords(len(tokens))
	for i, t := range tokens {
		q := quoteOf(t.Value)
		words[i] = Word{Text: unquote(t.Value, q), Raw: t.Value, Quote: q, Range: b.span(t)}
	}
	return words
}

func (b *builder) span(t lexer.Token) diag.Range {
	p := fromPosition(t.Pos)
	return diag.Range{File: b.file.Name, Start: p, End: endOf(p, t.Value)}
}
