package check

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// Files reads what is imported. Names are paths as the operating system knows
// them, made by joining the importing file's directory and what was written.
type Files interface {
	// ReadFile reads a file; it need not give more than one byte above
	// syntax.MaxSize.
	ReadFile(name string) ([]byte, error)
	// Glob lists the files that match a pattern (path/filepath.Match).
	Glob(pattern string) ([]string, error)
}

// isFile tells the name of a file from that of a snippet, which can hold none
// of these.
func isFile(name string) bool { return strings.ContainsAny(name, `/\.*?[`) }

// Reason says why a file could not be read, without repeating its name.
func Reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return "the file cannot be read: " + err.Error()
}

// importInto replaces `import NAME [ARGS…]` or `import FILE` by what it brings.
func (c *checker) importInto(out []stmt, st stmt) []stmt {
	if st.block != nil {
		c.errorf(st.place, "unexpected-block", "`import` takes no block")
	}
	if len(st.words) < 2 {
		d := c.errorf(st.place, "missing-argument", "`import` needs the name of a snippet or a file")
		d.Help = []string{"usage: import SNIPPET [ARGUMENT…] or import FILE"}
		return out
	}
	what := st.words[1]
	if !isFile(what.text) {
		return c.importSnippet(out, st)
	}
	if len(st.words) > 2 {
		c.errorf(st.words[2].place, "unexpected-argument", "a file takes no arguments; snippets do")
	}
	for _, f := range c.filesOf(what) {
		o := &origin{parent: st.from, at: st.rng, what: "file " + quoted(f.Name), file: f.Name, depth: st.from.depth + 1}
		out = c.expandInto(out, f.Statements, o)
	}
	return out
}

func (c *checker) importSnippet(out []stmt, st stmt) []stmt {
	what := st.words[1]
	s := c.snippets[what.text]
	if s == nil {
		d := c.errorf(what.place, "undefined-name", "there is no snippet %q", what.text)
		if !c.guess(d, what.text, c.snipNames) {
			d.Help = append(d.Help, "to import a file of that name, write ./"+what.text)
		}
		return out
	}
	s.used = true
	for o := st.from; o != nil; o = o.parent {
		if o.snippet == s {
			c.errorf(what.place, "import-loop", "the snippet %q imports itself", s.name)
			return out
		}
	}
	if c.tooDeep(what) {
		return out
	}
	args := st.words[2:]
	o := &origin{
		parent: st.from, at: st.rng, what: "snippet " + quoted(s.name), file: s.from.file,
		snippet: s, args: args, depth: st.from.depth + 1,
	}
	if len(args) > s.takes && !s.takesAll {
		c.warnf(args[s.takes].place, "unused-argument", "the snippet %q does not use this argument", s.name)
	}
	return c.expandInto(out, s.body.Statements, o)
}

func (c *checker) tooDeep(at word) bool {
	if at.from.depth < maxImportDepth {
		return false
	}
	c.errorf(at.place, "import-loop", "imports are nested deeper than %d", maxImportDepth)
	return true
}

// filesOf gives the parsed files that a word of `import` names.
func (c *checker) filesOf(what word) []*syntax.File {
	if c.tooDeep(what) {
		return nil
	}
	if c.opt.Files == nil {
		c.errorf(what.place, "import-failed", "files cannot be imported here")
		return nil
	}
	name := filepath.FromSlash(what.text)
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(what.from.file), name)
	}
	names := []string{name}
	if strings.ContainsAny(what.text, "*?[") {
		var err error
		if names, err = c.opt.Files.Glob(name); err != nil {
			c.errorf(what.place, "import-failed", "%q is no pattern of files: %v", what.text, err)
			return nil
		}
		if len(names) == 0 {
			c.warnf(what.place, "import-empty", "no file matches %q", what.text)
		}
		sort.Strings(names)
	}
	files := make([]*syntax.File, 0, len(names))
	for _, n := range names {
		if c.loops(what, n) {
			continue
		}
		if f := c.parse(what, n); f != nil {
			files = append(files, f)
		}
	}
	return files
}

// loops reports a file that is being imported already.
func (c *checker) loops(what word, name string) bool {
	for o := what.from; o != nil; o = o.parent {
		if o.snippet == nil && filepath.Clean(o.file) == filepath.Clean(name) {
			c.errorf(what.place, "import-loop", "the file %q imports itself", name)
			return true
		}
	}
	return false
}

// parse reads and parses a file once.
func (c *checker) parse(what word, name string) *syntax.File {
	if f, ok := c.parsed[name]; ok {
		return f
	}
	c.parsed[name] = nil // do not report it twice
	src, err := c.opt.Files.ReadFile(name)
	if err != nil {
		c.errorf(what.place, "import-failed", "%q: %s", name, Reason(err))
		return nil
	}
	f, errs := syntax.Parse(name, src)
	for _, d := range errs {
		imported := &origin{parent: what.from, at: what.rng, what: "file " + quoted(name)}
		d.Labels = imported.labels(d.Labels)
		if len(c.errs) < maxFindings {
			c.errs = append(c.errs, d)
		}
	}
	if f.Broken {
		c.broken = true
		return nil
	}
	c.parsed[name] = f
	return f
}
