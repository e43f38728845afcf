package lsp

import (
	"sort"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/reference"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// token finds the token at an offset; of two that touch there, the second.
func (f *fileIndex) token(offset int) *token {
	i := sort.Search(len(f.tokens), func(i int) bool { return f.tokens[i].start > offset })
	if i > 0 && offset <= f.tokens[i-1].end {
		return &f.tokens[i-1]
	}
	if i < len(f.tokens) && f.tokens[i].role == name && f.tokens[i].start == offset+1 {
		return &f.tokens[i] // on the @, the quote or the parenthesis
	}
	return nil
}

func (s *server) hover(d *document, p *placeParams) (any, error) {
	project, f := s.of(d.file)
	if f == nil {
		return nil, nil
	}
	offset := d.offset(p.Position)
	t := f.token(offset)
	if t == nil {
		return nil, nil
	}
	text := s.explain(t, project, offset)
	if text == "" {
		return nil, nil
	}
	return hover{Contents: markdown(text), Range: d.span(t.start, t.end)}, nil
}

// explain says what a token is, as Markdown.
func (s *server) explain(t *token, p *project, offset int) string {
	if ph := s.placeholderAt(t, offset); ph != nil {
		text := "`{" + ph.Name + "}`: " + ph.Doc
		if ph.HTTP {
			text += "\n\nFor HTTP sites only."
		}
		return text
	}
	switch t.role {
	case directive, option, variant, condition:
		return reference.Describe(t.word)
	case name:
		for _, o := range p.names[p.key(t)] {
			if o.define {
				return kindNames[t.kind] + " **" + t.text + "**\n\n" + fence(definition(&o))
			}
		}
		return ""
	case value:
		if t.arg != nil {
			return reference.DescribeArg(t.arg)
		}
	}
	return ""
}

// placeholderAt finds the placeholder that a place in a word is in.
func (s *server) placeholderAt(t *token, offset int) *spec.Placeholder {
	at := min(max(offset-t.start, 0), len(t.text))
	open := strings.LastIndexByte(t.text[:at], '{')
	if open < 0 {
		return nil
	}
	n, _, closed := strings.Cut(t.text[open+1:], "}")
	if !closed || open+1+len(n) < at-1 {
		return nil
	}
	for i := range s.opt.Vocabulary.Placeholders {
		ph := &s.opt.Vocabulary.Placeholders[i]
		prefix, any := strings.CutSuffix(ph.Name, "*")
		if n == ph.Name || any && strings.HasPrefix(n, prefix) {
			return ph
		}
	}
	return nil
}
