// Package dsl loads configurations: text in, checked configuration or
// diagnostics out. It starts nothing and opens nothing but the files that are
// imported.
package dsl

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/check"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// MaxShown is how many diagnostics Load gives of one configuration; a last one
// then says how many more there are.
const MaxShown = 50

// Sources are the texts that were read, for diag.Render.
type Sources = diag.Sources

// Files reads what is imported.
type Files = check.Files

// Options are what loading needs from outside.
type Options struct {
	Vocabulary *spec.Vocabulary
	Env        func(name string) (string, bool) // nil: os.LookupEnv
	FS         Files                            // nil: the files of the operating system
}

// Load reads and checks a configuration. If src is nil, the file is read. The
// configuration is nil if the diagnostics hold an error. The diagnostics are
// sorted by place, those of the file itself first.
func Load(file string, src []byte, opt Options) (*config.Config, *Sources, diag.List) {
	sources := &Sources{}
	if opt.Env == nil {
		opt.Env = os.LookupEnv
	}
	if opt.FS == nil {
		opt.FS = osFiles{}
	}
	if src == nil {
		var err error
		if src, err = readMain(file); err != nil {
			var errs diag.List
			errs.Add(diag.Range{File: file}, "unreadable-file", "%s", check.Reason(err))
			return nil, sources, errs
		}
	}
	if len(src) <= syntax.MaxSize {
		sources.Add(file, string(src))
	}
	f, errs := syntax.Parse(file, src)
	var cfg *config.Config
	if !f.Broken { // else what follows the unclosed block is not where it was put
		var found diag.List
		cfg, found = check.Check(f, check.Options{
			Vocabulary: opt.Vocabulary,
			Env:        opt.Env,
			Files:      recorder{opt.FS, sources},
		})
		errs = append(errs, found...)
	}
	if len(f.Statements) == 0 && len(errs) == 0 {
		// What a full disk leaves of a file, or a program that is still writing it,
		// must not take every site away by a reload.
		errs.Add(diag.Range{File: file}, "empty-file", "the file says nothing").Help = []string{"begin with a site, such as `http://:8080 {`"}
	}
	errs = tidy(errs, file)
	if errs.HasErrors() {
		return nil, sources, errs
	}
	return cfg, sources, errs
}

// tidy sorts diagnostics, drops what a snippet brought several times, and cuts
// the list to what a person reads: warnings go before errors do.
func tidy(list diag.List, file string) diag.List {
	list.Sort()
	type key struct {
		r       diag.Range
		message string
	}
	seen := make(map[key]bool, len(list))
	var own, others diag.List
	for _, d := range list {
		if k := (key{d.Range, d.Message}); !seen[k] {
			seen[k] = true
			if d.Range.File == file {
				own = append(own, d)
			} else {
				others = append(others, d)
			}
		}
	}
	list = slices.Concat(own, others)
	return Shown(list, file)
}

// Shown cuts a list to what a person reads, MaxShown, and says in a last line
// how many more there are: warnings go before errors do.
func Shown(list diag.List, file string) diag.List {
	if len(list) <= MaxShown {
		return list
	}
	all := len(list)
	shown := make(diag.List, 0, MaxShown+1)
	for want := diag.Error; want <= diag.Info; want++ {
		for _, d := range list {
			if d.Severity == want && len(shown) < MaxShown {
				shown = append(shown, d)
			}
		}
	}
	return append(shown, diag.Diagnostic{
		Severity: diag.Info, Range: diag.Range{File: file}, Rule: "more",
		Message: fmt.Sprintf("%d more diagnostics are not shown", all-MaxShown),
	})
}

// recorder keeps the texts of the files that it reads.
type recorder struct {
	Files
	sources *Sources
}

func (r recorder) ReadFile(name string) ([]byte, error) {
	src, err := r.Files.ReadFile(name)
	if err == nil && len(src) <= syntax.MaxSize {
		r.sources.Add(name, string(src))
	}
	return src, err
}

// Disk gives the files of the operating system.
func Disk() Files { return osFiles{} }

type osFiles struct{}

// ReadFile reads an ordinary file; anything else, such as a FIFO that a glob
// has caught, could block for ever.
func (osFiles) ReadFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not an ordinary file")}
	}
	return readMain(name)
}

func (osFiles) Glob(pattern string) ([]string, error) { return filepath.Glob(pattern) }

// readMain reads a file up to a little more than may be in it.
func readMain(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	src, err := io.ReadAll(io.LimitReader(f, syntax.MaxSize+1))
	if src == nil {
		src = []byte{}
	}
	return src, err
}
