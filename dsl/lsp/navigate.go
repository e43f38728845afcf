package lsp

import (
	"strings"
)

// nameAt gives the name at a place and all its places.
func (s *server) nameAt(d *document, p *placeParams) (*project, *token, []occurrence) {
	project, f := s.of(d.file)
	if f == nil {
		return nil, nil, nil
	}
	t := f.token(d.offset(p.Position))
	if t == nil {
		return project, nil, nil
	}
	if t.role != name {
		return project, t, nil
	}
	return project, t, project.names[project.key(t)]
}

func (s *server) definition(d *document, p *placeParams) (any, error) {
	_, t, places := s.nameAt(d, p)
	out := []location{}
	if t != nil && t.role == file {
		for _, n := range s.filesOf(d.file, t.text) {
			out = append(out, location{URI: s.uriOf(n)})
		}
		return out, nil
	}
	for i := range places {
		if places[i].define {
			out = append(out, s.location(&places[i]))
		}
	}
	return out, nil
}

func (s *server) references(d *document, p *placeParams) (any, error) {
	_, _, places := s.nameAt(d, p)
	out := []location{}
	for i := range places {
		if !places[i].define || p.Context.IncludeDeclaration {
			out = append(out, s.location(&places[i]))
		}
	}
	return out, nil
}

func (s *server) highlight(d *document, p *placeParams) (any, error) {
	type highlight struct {
		Range rangeOf `json:"range"`
	}
	_, _, places := s.nameAt(d, p)
	out := []highlight{}
	for i := range places {
		if places[i].file.name == d.file {
			out = append(out, highlight{d.span(places[i].start, places[i].end)})
		}
	}
	return out, nil
}

func (s *server) location(o *occurrence) location {
	return location{URI: s.uriOf(o.file.name), Range: o.file.lines().span(o.start, o.end)}
}

func (s *server) prepareRename(d *document, p *placeParams) (any, error) {
	_, t, places := s.nameAt(d, p)
	if t == nil || t.role != name || !defined(places) {
		return nil, nil
	}
	return map[string]any{"range": d.span(t.start, t.end), "placeholder": t.text}, nil
}

func defined(places []occurrence) bool {
	for i := range places {
		if places[i].define {
			return true
		}
	}
	return false
}

func (s *server) rename(d *document, p *placeParams) (any, error) {
	project, t, places := s.nameAt(d, p)
	if t == nil || t.role != name || !defined(places) {
		return nil, &fault{codeRequestFailed, "only pools, tables, matchers and snippets that are defined can be renamed"}
	}
	for _, f := range project.order {
		if f.tree.Broken {
			return nil, &fault{codeRequestFailed, f.name + " has a block or a quote that is not closed: what is in it cannot be told for sure"}
		}
	}
	to := strings.TrimPrefix(p.NewName, "@")
	if !isIdent(to) || t.kind == snippet && strings.Contains(to, ".") {
		return nil, &fault{codeRequestFailed, "a name has letters, digits, _ and - only"}
	}
	if to != t.text && project.taken(t, to) {
		return nil, &fault{codeRequestFailed, "there is a " + kindNames[t.kind] + " of that name already"}
	}
	edit := workspaceEdit{Changes: map[string][]textEdit{}}
	for i := range places {
		o := &places[i]
		uri := s.uriOf(o.file.name)
		edit.Changes[uri] = append(edit.Changes[uri], textEdit{o.file.lines().span(o.start, o.end), to})
	}
	return edit, nil
}

// taken reports whether a name is in use where a renamed one would be seen: a
// matcher's, in a block around it or within it.
func (p *project) taken(t *token, to string) bool {
	mine := p.key(t)
	for k := range p.names {
		if k.kind != mine.kind || k.name != to {
			continue
		}
		if k.kind != matcher || visible(k.scope, mine.scope) || visible(mine.scope, k.scope) {
			return true
		}
	}
	return false
}

// isIdent is what dsl/check wants of a name.
func isIdent(text string) bool {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z', '0' <= c && c <= '9', c == '_', c == '-', c == '.':
		default:
			return false
		}
	}
	return text != "" && len(text) <= 128
}
