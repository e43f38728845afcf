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
	b := builder{file: f}
	err := s.build(&b)
	f.Broken = s.broken
	if err != nil { // a fault of ours: say so rather than lose a line in silence
		f.Broken = true
		s.errorf(diag.Range{File: file}, "syntax", "%v", err)
	}
	s.errs.Sort()
	return f, s.errs
}

// build reads the whole file, a portion at a time: the tokens and the nodes of
// the grammar are garbage before the next portion, so that they cost little
// to collect.
func (s *scanner) build(b *builder) error {
	above := 0
	for !s.done() {
		peeking, err := lexer.Upgrade(s)
		if err != nil {
			return err
		}
		part, err := grammar.ParseFromLexer(peeking)
		if err != nil {
			return err
		}
		b.comments = s.comments
		for _, n := range part.Lines {
			b.file.Statements = append(b.file.Statements, b.statement(n, &above))
		}
		s.comments = b.comments
	}
	b.file.Tail = b.leading(len(b.file.Src)+1, &above)
	return nil
}
