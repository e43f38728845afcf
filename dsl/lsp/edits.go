package lsp

import (
	"encoding/json"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/format"
)

// format gives one edit that touches as few lines as it can, so that the
// cursor stays; nothing if the text has syntax errors.
func (s *server) format(d *document, _ *placeParams) (any, error) {
	out, errs := format.Source(d.file, []byte(d.src))
	if errs.HasErrors() || string(out) == d.src {
		return []textEdit{}, nil
	}
	before, after := d.src, string(out)
	head := commonLines(before, after)
	tail := 0
	for {
		b := lastLine(before[head : len(before)-tail])
		if b == "" || b != lastLine(after[head:len(after)-tail]) {
			break
		}
		tail += len(b)
	}
	return []textEdit{{d.span(head, len(before)-tail), after[head : len(after)-tail]}}, nil
}

// commonLines gives the length of the whole lines that two texts begin with.
func commonLines(a, b string) int {
	n := 0
	for {
		i := strings.IndexByte(a[n:], '\n')
		if i < 0 || !strings.HasPrefix(b[n:], a[n:n+i+1]) {
			return n
		}
		n += i + 1
	}
}

// lastLine gives the last line with its newline, "" if the text does not end
// in one.
func lastLine(text string) string {
	if !strings.HasSuffix(text, "\n") {
		return ""
	}
	return text[strings.LastIndexByte(text[:len(text)-1], '\n')+1:]
}

// actions gives the certain fixes of what the last check found there.
func (s *server) actions(raw json.RawMessage) (any, error) {
	var p actionParams
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, &fault{codeInvalidParams, err.Error()}
	}
	out := []codeAction{}
	d := s.docs[fileName(p.TextDocument.URI)]
	if d == nil || s.dirty { // the places of the last check may be wrong by now
		return out, nil
	}
	from, to := d.offset(p.Range.Start), d.offset(p.Range.End)
	for _, f := range s.fixes[d.file] {
		if f.Range.End.Offset < from || f.Range.Start.Offset > to {
			continue
		}
		for _, fix := range f.Fixes {
			out = append(out, codeAction{Title: fix.Title, Kind: "quickfix", Edit: s.edits(fix)})
		}
	}
	return out, nil
}

func (s *server) edits(fix diag.Fix) workspaceEdit {
	out := workspaceEdit{Changes: map[string][]textEdit{}}
	for _, e := range fix.Edits {
		uri := s.uriOf(e.Range.File)
		out.Changes[uri] = append(out.Changes[uri], textEdit{s.textOf(e.Range.File).rangeOf(e.Range), e.Text})
	}
	return out
}
