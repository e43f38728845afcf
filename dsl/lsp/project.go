package lsp

import (
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// maxFiles bounds the files of one project.
const maxFiles = 10_000

// project is a file and all that it imports.
type project struct {
	root     string
	files    map[string]*fileIndex
	order    []*fileIndex
	names    map[key][]occurrence
	anyScope map[string]*scope
}

// projects are those that open documents belong to.
type projects struct {
	list []*project
}

// of gives the project that a file belongs to, and its index there.
func (s *server) of(file string) (*project, *fileIndex) {
	for _, p := range s.current().list {
		if f := p.files[file]; f != nil {
			return p, f
		}
	}
	return nil, nil
}

// current gives the projects of the open documents. An open document is a root
// itself, unless another root imports it; a file named Lbfile beside or above
// it may be such a root.
func (s *server) current() *projects {
	if s.projects != nil {
		return s.projects
	}
	s.projects = &projects{}
	for _, root := range s.candidates() {
		if s.covered(root) {
			continue
		}
		p := s.index(root)
		s.projects.list = slices.DeleteFunc(s.projects.list, func(old *project) bool {
			return p.files[old.root] != nil
		})
		s.projects.list = append(s.projects.list, p)
	}
	s.projects.list = slices.DeleteFunc(s.projects.list, func(p *project) bool {
		for name := range s.docs {
			if p.files[name] != nil {
				return false
			}
		}
		return true // an Lbfile that has nothing to do with what is open
	})
	return s.projects
}

func (s *server) covered(file string) bool {
	for _, p := range s.projects.list {
		if p.files[file] != nil {
			return true
		}
	}
	return false
}

// candidates lists the roots that may be, those named Lbfile first.
func (s *server) candidates() []string {
	seen := map[string]bool{}
	var names, open []string
	for name := range s.docs {
		open = append(open, name)
	}
	sort.Strings(open)
	for _, name := range open {
		for _, above := range s.above(name) {
			if !seen[above] && s.docs[above] == nil {
				if _, err := s.opt.Files.ReadFile(above); err != nil {
					seen[above] = true
					continue
				}
			}
			if !seen[above] {
				seen[above] = true
				names = append(names, above)
			}
		}
	}
	for _, name := range open {
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

// above lists the Lbfiles that may import a file: in its directory and those
// above it, as far as the workspace goes.
func (s *server) above(name string) []string {
	if !filepath.IsAbs(name) {
		return nil
	}
	var out []string
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		out = append(out, filepath.Join(dir, "Lbfile"))
		inside := slices.ContainsFunc(s.folders, func(f string) bool {
			return strings.HasPrefix(dir, strings.TrimRight(f, string(filepath.Separator))+string(filepath.Separator))
		})
		if !inside || dir == filepath.Dir(dir) {
			return out
		}
	}
}

// tree gives the parsed text of a file, nil if it cannot be read.
func (s *server) tree(name string) *syntax.File {
	src, err := overlay{s, s.opt.Files}.ReadFile(name)
	if err != nil {
		return nil
	}
	if old := s.trees[name]; old != nil && old.Src == string(src) {
		return old
	}
	f, _ := syntax.Parse(name, src)
	if s.docs[name] != nil { // of the others there may be many
		s.trees[name] = f
	}
	return f
}

// filesOf gives the files that an import names, as dsl/check finds them.
func (s *server) filesOf(from, what string) []string {
	if strings.Contains(what, "{") {
		return nil
	}
	n := filepath.FromSlash(what)
	if !filepath.IsAbs(n) {
		n = filepath.Join(filepath.Dir(from), n)
	}
	if !strings.ContainsAny(what, "*?[") {
		return []string{filepath.Clean(n)}
	}
	names, err := overlay{s, s.opt.Files}.Glob(n)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	return names
}

func itoa(n int) string { return strconv.Itoa(n) }
