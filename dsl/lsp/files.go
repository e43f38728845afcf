package lsp

import (
	"encoding/json"
	"io/fs"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// document is an open text.
type document struct {
	uri  string // as the client writes it
	file string
	*text
}

// fileName gives the path that a URI names; one that names no file stands for
// itself, as an unsaved text does.
func fileName(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Path == "" {
		return uri
	}
	return filepath.Clean(filepath.FromSlash(u.Path))
}

// uriOf gives the URI of a file, in the client's own writing if it is open.
func (s *server) uriOf(file string) string {
	if d := s.docs[filepath.Clean(file)]; d != nil {
		return d.uri
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(file)}).String()
}

func (s *server) set(uri, src string) {
	file := fileName(uri)
	s.docs[file] = &document{uri: uri, file: file, text: newText(strings.TrimPrefix(src, "\uFEFF"))}
	s.touch()
}

func (s *server) changed(raw json.RawMessage) {
	var p changeParams
	if json.Unmarshal(raw, &p) != nil || len(p.ContentChanges) == 0 {
		return
	}
	if s.docs[fileName(p.TextDocument.URI)] == nil {
		return
	}
	// Only whole texts were asked for; the last one counts.
	last := p.ContentChanges[len(p.ContentChanges)-1]
	if last.Range == nil {
		s.set(p.TextDocument.URI, last.Text)
	}
}

func (s *server) close(uri string) {
	delete(s.docs, fileName(uri))
	s.touch()
}

// overlay shows open documents in place of files.
type overlay struct {
	s     *server
	below dsl.Files
}

func (o overlay) ReadFile(name string) ([]byte, error) {
	if d := o.s.docs[filepath.Clean(name)]; d != nil {
		return []byte(d.src), nil
	}
	if strings.Contains(name, "://") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return o.below.ReadFile(name)
}

func (o overlay) Glob(pattern string) ([]string, error) {
	names, err := o.below.Glob(pattern)
	if err != nil {
		return nil, err
	}
	for name := range o.s.docs {
		if ok, _ := filepath.Match(pattern, name); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// textOf gives the text of a file as the editor or the system has it.
func (s *server) textOf(file string) *text {
	if d := s.docs[filepath.Clean(file)]; d != nil {
		return d.text
	}
	src, err := overlay{s, s.opt.Files}.ReadFile(file)
	if err != nil || len(src) > syntax.MaxSize {
		return newText("")
	}
	return newText(strings.TrimPrefix(string(src), "\uFEFF"))
}
