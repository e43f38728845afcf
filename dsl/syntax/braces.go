package syntax

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// braces is what the scanner remembers of open blocks.
type braces struct {
	open []openBrace
	// skip counts the blocks open below MaxDepth, whose lines are dropped.
	skip int
	// suspect is the first block that, by its indentation, lacks its end: a
	// missing brace shows at the end of the file, but belongs there.
	suspect *openBrace
}

type openBrace struct {
	brace  diag.Range
	column int // of the first word of its line
}

// settleLine decides which words of the line are braces and hands the line on.
// A brace at a wrong place is reported, once a line, and then taken as what it
// was meant to be.
func (s *scanner) settleLine() {
	words := s.line
	if len(words) > 0 && words[0].Value != "}" {
		s.suspectFrom(words[0].Pos.Column)
	}
	reported := false
	for len(words) > 0 {
		i := braceIn(words)
		if i < 0 {
			s.emitLine(words, s.splitBrace(&words[len(words)-1]))
			return
		}
		brace := words[i]
		if brace.Value == "{" {
			if i < len(words)-1 && !reported {
				d := s.errorf(s.span(brace), "syntax", "`{` must be the last word of its line")
				d.Help = []string{"each directive of a block stands on a line of its own, and so does `}`"}
				reported = true
			}
			s.emitLine(words[:i], &brace)
		} else {
			if len(words) > 1 && !reported {
				s.errorf(s.span(brace), "syntax", "`}` must stand alone on its line")
				reported = true
			}
			if i > 0 {
				s.emitLine(words[:i], nil)
			}
			s.closeBlock(brace)
		}
		words = words[i+1:]
	}
}

// braceIn gives the index of the first brace among words, or -1.
func braceIn(words []lexer.Token) int {
	for i := range words {
		if v := words[i].Value; v == "{" || v == "}" {
			return i
		}
	}
	return -1
}

// splitBrace takes the brace from the end of a word that lacks a blank before
// it; nil if there is none.
func (s *scanner) splitBrace(w *lexer.Token) *lexer.Token {
	if !lacksBlank(w.Value) {
		return nil
	}
	d := s.errorf(s.span(*w), "syntax", "a blank is missing before `{`")
	d.Help = []string{"a word that ends in { is written in quotes"}
	w.Value = w.Value[:len(w.Value)-1]
	return &lexer.Token{Type: tokenWord, Value: "{", Pos: toPosition(s.span(*w).End)}
}

// lacksBlank reports whether a word is a word and an opening brace stuck
// together, not a placeholder or a template.
func lacksBlank(word string) bool {
	return len(word) > 1 && word[len(word)-1] == '{' && quoteOf(word) == Plain && strings.Count(word, "{") == strings.Count(word, "}")+1
}

// emitLine hands on the words of a line, and its opening brace.
func (s *scanner) emitLine(words []lexer.Token, brace *lexer.Token) {
	if s.braces.skip > 0 {
		if brace != nil {
			s.braces.skip++
		}
		return
	}
	deep := len(s.braces.open) >= MaxDepth
	if brace != nil && deep {
		s.errorf(s.span(*brace), "too-deep", "blocks may be nested %d deep", MaxDepth)
		s.braces.skip = 1
	}
	if brace == nil || deep {
		if len(words) > 0 {
			s.emit(words...)
			s.emit(s.endOfLine())
		}
		return
	}
	first := *brace
	if len(words) > 0 {
		first = words[0]
	}
	s.braces.open = append(s.braces.open, openBrace{s.span(*brace), first.Pos.Column})
	s.emit(words...)
	open := *brace
	open.Type = tokenOpen
	s.emit(open, s.endOfLine())
}

// closeBlock takes a closing brace.
func (s *scanner) closeBlock(t lexer.Token) {
	b := &s.braces
	if b.skip > 0 {
		b.skip--
		return
	}
	if len(b.open) == 0 {
		s.errorf(s.span(t), "syntax", "this `}` closes nothing")
		return
	}
	if top := &b.open[len(b.open)-1]; b.suspect == nil && t.Pos.Column < top.column {
		b.suspect = new(*top)
	}
	b.open = b.open[:len(b.open)-1]
	t.Type = tokenClose
	s.emit(t, s.endOfLine())
}

// suspectFrom notes a line that stands no deeper than the line that opened
// its block.
func (s *scanner) suspectFrom(column int) {
	b := &s.braces
	if b.suspect != nil || b.skip > 0 || len(b.open) == 0 {
		return
	}
	if top := &b.open[len(b.open)-1]; column <= top.column {
		b.suspect = new(*top)
	}
}

// closeBraces reports what is still open at the end of the file, and closes it.
func (s *scanner) closeBraces() {
	open := s.braces.open
	if len(open) == 0 && s.braces.skip == 0 {
		return
	}
	if !s.broken { // otherwise a quote has swallowed the braces
		if sus := s.braces.suspect; sus != nil && len(open) > 0 {
			open = []openBrace{*sus}
		}
		for _, o := range open {
			d := s.errorf(o.brace, "unclosed-block", "this block is not closed")
			d.Help = []string{"a `}` alone on a line closes it"}
		}
	}
	s.broken = true
	end := lexer.Token{Type: tokenClose, Pos: toPosition(s.pos)}
	for range s.braces.open {
		s.emit(end, s.endOfLine())
	}
	s.braces.open = nil
}

func (s *scanner) endOfLine() lexer.Token {
	return lexer.Token{Type: tokenEOL, Pos: toPosition(s.pos)}
}

func (s *scanner) emit(tokens ...lexer.Token) {
	s.out = append(s.out, tokens...)
	s.tokens += len(tokens)
}

// span gives the range of a token.
func (s *scanner) span(t lexer.Token) diag.Range {
	p := fromPosition(t.Pos)
	return diag.Range{File: s.file, Start: p, End: endOf(p, t.Value)}
}
