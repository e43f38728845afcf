package lsp

import (
	"encoding/json"
	"sort"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// publish checks every project and says what has changed.
func (s *server) publish() error {
	if !s.dirty {
		return nil
	}
	s.dirty = false
	found := map[string][]diagnostic{}
	s.fixes = map[string][]diag.Diagnostic{}
	for name := range s.docs {
		found[name] = []diagnostic{} // what is open is told that it is good, too
	}
	for _, p := range s.current().list {
		s.check(p, found)
	}
	for name := range s.published {
		if found[name] == nil {
			found[name] = []diagnostic{}
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		said, err := json.Marshal(found[name])
		if err != nil {
			return err
		}
		before, ok := s.published[name]
		if before == string(said) || !ok && len(found[name]) == 0 && s.docs[name] == nil {
			continue
		}
		if s.published[name] = string(said); s.docs[name] == nil && len(found[name]) == 0 {
			delete(s.published, name)
		}
		if err := s.conn.write(notification{"2.0", "textDocument/publishDiagnostics", publishParams{s.uriOf(name), found[name]}}); err != nil {
			return err
		}
	}
	return nil
}

// check loads a project as the product would, and adds what is found.
func (s *server) check(p *project, found map[string][]diagnostic) {
	var src []byte
	if d := s.docs[p.root]; d != nil {
		src = []byte(d.src)
		if src == nil {
			src = []byte{}
		}
	} else if text, err := s.opt.Files.ReadFile(p.root); err == nil {
		src = text
	} else {
		return
	}
	cfg, sources, list := dsl.Load(p.root, src, dsl.Options{
		Vocabulary: s.opt.Vocabulary, Env: s.opt.Env, FS: overlay{s, s.opt.Files},
	})
	if s.opt.Lint != nil {
		list = s.opt.Lint(cfg, sources, list)
	}
	texts := map[string]*text{}
	of := func(file string) *text {
		if texts[file] == nil {
			texts[file] = s.textOf(file)
		}
		return texts[file]
	}
	for _, d := range list {
		file := d.Range.File
		if file == "" {
			file = p.root
		}
		found[file] = append(found[file], s.diagnostic(d, of))
		s.fixes[file] = append(s.fixes[file], d)
	}
}

// The severities of the protocol.
const (
	severityError = 1 + iota
	severityWarning
	severityInformation
)

func (s *server) diagnostic(d diag.Diagnostic, of func(string) *text) diagnostic {
	out := diagnostic{
		Range:    of(d.Range.File).rangeOf(d.Range),
		Severity: severityError, Code: d.Rule, Source: "loadstar", Message: d.Message,
	}
	switch {
	case d.Severity == diag.Warning, d.Rule == "undefined-variable":
		// Where one edits is seldom where it runs.
		out.Severity = severityWarning
	case d.Severity == diag.Info:
		out.Severity = severityInformation
	}
	for _, h := range d.Help {
		out.Message += "\n" + h
	}
	for _, l := range d.Labels {
		out.Related = append(out.Related, related{
			Location: location{s.uriOf(l.Range.File), of(l.Range.File).rangeOf(l.Range)},
			Message:  l.Message,
		})
	}
	return out
}
