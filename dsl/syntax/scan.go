package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// scanner cuts a file into words, one logical line at a time, and hands them
// to the grammar as tokens. It implements lexer.Lexer.
type scanner struct {
	file string
	src  string
	pos  diag.Pos // of the next byte

	line     []lexer.Token // words of the logical line being read
	out      []lexer.Token // tokens of settled lines, not yet handed out
	next     int           // index of the next one in out
	tokens   int           // handed to out so far
	pauseAt  int           // the count of tokens that ends the portion
	comments []Comment
	braces   braces
	errs     diag.List
	eof      bool
	broken   bool
}

// portion is how many tokens the grammar takes at a time, at least.
const portion = 256

// done reports that the last portion has been read.
func (s *scanner) done() bool { return s.eof && s.next == len(s.out) }

func newScanner(file, src string) *scanner {
	return &scanner{file: file, src: src, pos: diag.Pos{Line: 1, Column: 1}, pauseAt: portion}
}

// Next gives the next token; it never fails, as errors become diagnostics. It
// reports the end of the file now and then between statements of the top level
// too: the grammar takes a file in portions, which saves a third of the memory,
// since participle grows one slice of all the tokens it is given.
func (s *scanner) Next() (lexer.Token, error) {
	for s.next == len(s.out) {
		if s.eof || s.tokens >= s.pauseAt && len(s.braces.open) == 0 {
			s.pauseAt = s.tokens + portion
			return lexer.EOFToken(toPosition(s.pos)), nil
		}
		s.out, s.next = s.out[:0], 0
		s.scanLine()
		s.settleLine()
		if s.eof {
			s.closeBraces()
		}
	}
	t := s.out[s.next]
	s.next++
	return t, nil
}

// scanLine reads one logical line that holds at least one word, or runs into
// the end of the file.
func (s *scanner) scanLine() {
	s.line = s.line[:0]
	for {
		s.skipBlanks()
		rest := s.src[s.pos.Offset:]
		switch {
		case rest == "":
			s.eof = true
			return
		case rest[0] == '\n':
			if len(s.line) > 0 {
				return // the newline is skipped when the next line is read
			}
			s.newline()
		case rest[0] == '#':
			s.comment(rest)
		case len(s.line) >= MaxTokens-s.tokens-8:
			s.errorf(s.at(1), "file-too-large", "a file may hold at most %d words", MaxTokens)
			s.stop()
			return
		case rest[0] == '"':
			s.double(rest)
		case rest[0] == '`':
			s.backquote(rest)
		case strings.HasPrefix(rest, "<<") && heredocName(rest) != "":
			s.heredoc(rest)
		default:
			s.plain(rest)
		}
	}
}

// skipBlanks skips blanks, the CR of a CRLF, and line joins.
func (s *scanner) skipBlanks() {
	for s.pos.Offset < len(s.src) {
		switch s.src[s.pos.Offset] {
		case ' ', '\t', '\r':
			s.pos.Offset++
			s.pos.Column++
		case '\\':
			n := joinLength(s.src[s.pos.Offset:])
			if n == 0 {
				return
			}
			s.advance(n)
		default:
			return
		}
	}
}

// joinLength gives the length of a backslash that ends its line, with blanks
// that nobody can see behind it and the newline (or the end of the file); 0 if
// it is none.
func joinLength(rest string) int {
	if rest[0] != '\\' {
		return 0
	}
	for i := 1; i < len(rest); i++ {
		switch rest[i] {
		case ' ', '\t', '\r':
		case '\n':
			return i + 1
		default:
			return 0
		}
	}
	return len(rest)
}

func (s *scanner) newline() {
	s.pos.Offset++
	s.pos.Line++
	s.pos.Column = 1
}

// advance moves over n bytes.
func (s *scanner) advance(n int) {
	text := s.src[s.pos.Offset : s.pos.Offset+n]
	s.pos.Offset += n
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		s.pos.Line += strings.Count(text, "\n")
		s.pos.Column = 1
		text = text[i+1:]
	}
	s.pos.Column += utf8.RuneCountInString(text)
}

// word takes n bytes as one word of the line.
func (s *scanner) word(n int) {
	at := toPosition(s.pos)
	text := s.src[s.pos.Offset : s.pos.Offset+n]
	s.advance(n)
	s.line = append(s.line, lexer.Token{Type: tokenWord, Value: text, Pos: at})
}

func (s *scanner) comment(rest string) {
	n := lineLength(rest)
	text := strings.TrimRight(rest[:n], " \t\r")
	r := s.at(len(text))
	s.advance(n)
	s.comments = append(s.comments, Comment{Text: text, Range: r})
}

// lineLength gives the length of the line without its newline.
func lineLength(rest string) int {
	if n := strings.IndexByte(rest, '\n'); n >= 0 {
		return n
	}
	return len(rest)
}

func (s *scanner) plain(rest string) {
	n := 0
scan:
	for n < len(rest) {
		switch rest[n] {
		case ' ', '\t', '\n', '\r':
			break scan
		case '\\':
			// of two backslashes neither joins
			if (n == 0 || rest[n-1] != '\\') && joinLength(rest[n:]) > 0 {
				break scan
			}
		}
		n++
	}
	if rest[n-1] == '\\' && (n == 1 || rest[n-2] != '\\') {
		d := s.errorf(s.at(n), "syntax", "a `\\` at the end of a word joins lines, but the line goes on")
		d.Help = []string{"a word that ends in \\ is written in quotes"}
	}
	s.word(n)
}

// at gives the range of the next n bytes.
func (s *scanner) at(n int) diag.Range {
	n = min(n, len(s.src)-s.pos.Offset)
	return diag.Range{File: s.file, Start: s.pos, End: endOf(s.pos, s.src[s.pos.Offset:s.pos.Offset+n])}
}

// endOf gives the place behind a text that starts at p.
func endOf(p diag.Pos, text string) diag.Pos {
	p.Offset += len(text)
	if i := strings.LastIndexByte(text, '\n'); i >= 0 {
		p.Line += strings.Count(text, "\n")
		p.Column = 1
		text = text[i+1:]
	}
	p.Column += utf8.RuneCountInString(text)
	return p
}

// stop gives up on the rest of the file.
func (s *scanner) stop() {
	s.pos = endOf(s.pos, s.src[s.pos.Offset:])
	s.eof, s.broken = true, true
}

// errorf reports an error, up to a bound that keeps hostile files cheap.
func (s *scanner) errorf(r diag.Range, rule, format string, args ...any) *diag.Diagnostic {
	if len(s.errs) >= maxErrors {
		return &diag.Diagnostic{}
	}
	return s.errs.Add(r, rule, "%s", fmt.Sprintf(format, args...))
}

func toPosition(p diag.Pos) lexer.Position {
	return lexer.Position{Offset: p.Offset, Line: p.Line, Column: p.Column}
}

func fromPosition(p lexer.Position) diag.Pos {
	return diag.Pos{Offset: p.Offset, Line: p.Line, Column: p.Column}
}
