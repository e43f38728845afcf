package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/format"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// job is one run over some files.
type job struct {
	list, diff, write bool

	in        io.Reader
	out, errs io.Writer
	style     diag.Style
	exit      int
}

func (j *job) standardInput() {
	const name = "<standard input>"
	src, err := io.ReadAll(io.LimitReader(j.in, syntax.MaxSize+1))
	if err != nil {
		j.trouble(err)
		return
	}
	j.format(name, src)
}

// files formats files and directories; one that fails does not stop the rest.
func (j *job) files(names []string) {
	for _, name := range names {
		info, err := os.Stat(name)
		switch {
		case err != nil:
			j.trouble(err)
		case info.IsDir():
			j.directory(name)
		default:
			j.file(name)
		}
	}
}

// directory formats what is ours in a directory and below it. Hidden
// directories and symbolic links are not followed.
func (j *job) directory(root string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			j.trouble(err)
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.Type().IsRegular() && (d.Name() == "Lbfile" || filepath.Ext(d.Name()) == ".lb"):
			j.file(path)
		}
		return nil
	})
	if err != nil {
		j.trouble(err)
	}
}

func (j *job) file(name string) {
	src, err := read(name)
	if err != nil {
		j.trouble(err)
		return
	}
	got, changed := j.format(name, src)
	if !j.write || !changed {
		return
	}
	if err := replace(name, got); err != nil {
		j.trouble(err)
	}
}

// format formats one text, and says what the flags ask for.
func (j *job) format(name string, src []byte) (got []byte, changed bool) {
	got, list := format.Source(name, src)
	if list.HasErrors() {
		sources := &diag.Sources{}
		sources.Add(name, string(src))
		if err := diag.Render(j.errs, list, sources, j.style); err != nil {
			j.trouble(err)
		}
		j.exit = exitTrouble
		return nil, false
	}
	changed = !bytes.Equal(src, got)
	if changed && (j.list || j.diff) && !j.write {
		j.exit = max(j.exit, exitChanges)
	}
	if j.list && changed {
		j.print([]byte(name + "\n"))
	}
	if j.diff && changed {
		j.print(diff.Diff(name+".orig", src, name, got))
	}
	if !j.list && !j.diff && !j.write {
		j.print(got)
	}
	return got, changed
}

func (j *job) print(text []byte) {
	if _, err := j.out.Write(text); err != nil {
		j.trouble(err)
	}
}

func (j *job) trouble(err error) {
	fmt.Fprintln(j.errs, "lbfmt:", err)
	j.exit = exitTrouble
}

func read(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, syntax.MaxSize+1))
}
