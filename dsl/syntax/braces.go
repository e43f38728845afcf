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

// settleLine decides which words of the line are braces, mends what is wrong
// with them, and hands the line on.
func (s *scanner) settleLine() {
	words := s.line
	for len(words) > 0 && words[0].Value == "}" {
		s.closeBlock(words[0])
		if words = words[1:]; len(words) > 0 {
			s.errorf(s.span(words[0]), "syntax", "`}` must stand alone on its line")
		}
	}
	if len(words) == 0 {
		return
	}
	s.suspectFrom(words[0].Pos.Column)
	var brace, closing *lexer.Token
	last := len(words) - 1
	if words[last].Value == "{" {
		brace, words = &words[last], words[:last]
	} else if lacksBlank(words[last].Value) {
		brace = s.splitBrace(&words[last])
	}
	for i := range words {
		if v := words[i].Value; v == "{" || v == "}" {
			brace, closing = s.strayBrace(s.line, words, i)
			words = words[:i]
			break
		}
	}
	s.emitLine(words, brace)
	if closing != nil && len(s.braces.open) > 0 {
		s.closeBlock(*closing)
	}
}

// splitBrace takes the brace from the end of a word.
func (s *scanner) splitBrace(w *lexer.Token) *lexer.Token {
	d := s.errorf(s.span(*w), "syntax", "a blank is missing before `{`")
	d.Help = []string{"a word that ends in { is written in quotes"}
	w.Value = w.Value[:len(w.Value)-1]
	return &lexer.Token{Type: tokenWord, Value: "{", Pos: toPosition(s.span(*w).End)}
}

// strayBrace reports a brace in the middle of a line, and gives the brace that
// opens a block if one was meant to begin there (it was not if it ends on the
// same line), or the one that was meant to close one.
func (s *scanner) strayBrace(line, words []lexer.Token, i int) (opening, closing *lexer.Token) {
	if words[i].Value == "}" {
		s.errorf(s.span(words[i]), "syntax", "`}` must stand alone on its line")
		return nil, &words[i]
	}
	d := s.errorf(s.span(words[i]), "syntax", "`{` must be the last word of its line")
	d.Help = []string{"each directive of a block stands on a line of its own, and so does `}`"}
	for _, t := range line {
		if t.Value == "}" && t.Pos.Offset > words[i].Pos.Offset {
			return nil, nil
		}
	}
	return &words[i], nil
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
	top := b.open[len(b.open)-1]
	if b.suspect == nil && t.Pos.Column < top.column {
		b.suspect = &top
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
	if top := b.open[len(b.open)-1]; column <= top.column {
		b.suspect = &top
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
