package syntax

import (
	"errors"
	"io"

	"github.com/alecthomas/participle/v2"
	"github.com/alecthomas/participle/v2/lexer"
)

// The grammar. The scanner has already settled the braces and dropped empty
// lines, so that no input can fail here.
//
// Tokens is a view of all the tokens of a node, which participle fills in. The
// insides of blocks, nearly all of a file, are read by blockNode.Parse with the
// same productions: participle's reflection was measured to take four times as
// long there as all the rest together.
type (
	fileNode struct {
		Lines []*lineNode `parser:"@@*"`
	}
	lineNode struct {
		Tokens []lexer.Token // the last one is the end of the line
		Words  wordsNode     `parser:"@@?"`
		Block  *blockNode    `parser:"@@? EOL"`
	}
	// blockNode is `Open EOL Line* Close`.
	blockNode struct {
		Tokens []lexer.Token
		Lines  []*lineNode
	}
)

// Parse implements participle.Parseable.
func (b *blockNode) Parse(lex *lexer.PeekingLexer) error {
	if lex.Peek().Type != tokenOpen {
		return participle.NextMatch
	}
	start := lex.RawCursor()
	lex.Next()
	if err := expect(lex, tokenEOL); err != nil {
		return err
	}
	for lex.Peek().Type != tokenClose {
		line := &lineNode{}
		if err := line.parse(lex); err != nil {
			return err
		}
		b.Lines = append(b.Lines, line)
	}
	lex.Next()
	b.Tokens = lex.Range(start, lex.RawCursor())
	return nil
}

// parse reads what the tags of lineNode say.
func (l *lineNode) parse(lex *lexer.PeekingLexer) error {
	start := lex.RawCursor()
	if err := l.Words.Parse(lex); err != nil && err != participle.NextMatch {
		return err
	}
	if lex.Peek().Type == tokenOpen {
		l.Block = &blockNode{}
		if err := l.Block.Parse(lex); err != nil {
			return err
		}
	}
	if err := expect(lex, tokenEOL); err != nil {
		return err
	}
	l.Tokens = lex.Range(start, lex.RawCursor())
	return nil
}

func expect(lex *lexer.PeekingLexer, want lexer.TokenType) error {
	if t := lex.Peek(); t.Type != want {
		return &participle.UnexpectedTokenError{Unexpected: *t}
	}
	lex.Next()
	return nil
}

// wordsNode is a run of words: `Word+`, without a copy.
type wordsNode struct{ Tokens []lexer.Token }

// Parse implements participle.Parseable.
func (w *wordsNode) Parse(lex *lexer.PeekingLexer) error {
	start := lex.RawCursor()
	for lex.Peek().Type == tokenWord {
		lex.Next()
	}
	if w.Tokens = lex.Range(start, lex.RawCursor()); len(w.Tokens) == 0 {
		return participle.NextMatch
	}
	return nil
}

// The tokens.
const (
	tokenWord lexer.TokenType = iota + 1
	tokenOpen
	tokenClose
	tokenEOL
)

// definition tells participle of our tokens; the scanner itself is made by
// Parse, which wants its comments and its errors too.
type definition struct{}

func (definition) Symbols() map[string]lexer.TokenType {
	return map[string]lexer.TokenType{
		"EOF": lexer.EOF, "Word": tokenWord, "Open": tokenOpen, "Close": tokenClose, "EOL": tokenEOL,
	}
}

func (definition) Lex(file string, r io.Reader) (lexer.Lexer, error) {
	src, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, err
	}
	if len(src) > MaxSize {
		return nil, errors.New("file too large")
	}
	return newScanner(file, string(src)), nil
}

var grammar = participle.MustBuild[fileNode](participle.Lexer(definition{}))
