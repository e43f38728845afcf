package syntax

import (
	"strings"

	"github.com/alecthomas/participle/v2/lexer"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// Parse reads a file. It always gives a tree, of what could be understood, and
// all the syntax errors in the order of their places. The name stands in every
// range.
func Parse(file string, src []byte) (*File, diag.List) {
	f := &File{Name: file}
	if len(src) > MaxSize {
		f.Broken = true
		var errs diag.List
		errs.Add(diag.Range{File: file}, "file-too-large", "the file is larger than %d MiB", MaxSize>>20)
		return f, errs
	}
	f.Src = strings.TrimPrefix(string(src), "\uFEFF")
	s := newScanner(file, f.Src)
	if !s.vet() {
		f.Broken = true
		return f, s.errs
	}
	lines, err := s.lines()
	f.Broken = s.broken
	if err != nil { // a fault of ours: say so rather than lose a line in silence
		f.Broken = true
		s.errorf(diag.Range{File: file}, "syntax", "%v", err)
	}
	b := builder{file: f, comments: s.comments}
	f.Statements, f.Tail = b.lines(lines, diag.Pos{Offset: len(f.Src) + 1}, 0)
	s.errs.Sort()
	return f, s.errs
}

// lines reads the whole file, a portion at a time.
func (s *scanner) lines() ([]*lineNode, error) {
	var lines []*lineNode
	for !s.done() {
		peeking, err := lexer.Upgrade(s)
		if err != nil {
			return lines, err
		}
		part, err := grammar.ParseFromLexer(peeking)
		if err != nil {
			return lines, err
		}
		lines = append(lines, part.Lines...)
	}
	return lines, nil
}
