package main

import (
	"fmt"
	"maps"
	"slices"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
)

// rounds bounds how often a mended configuration is looked at again: mending one
// finding may uncover the next, such as a pool that only an unused one named.
const rounds = 20

// mend applies all certain fixes to a configuration and to the files that it
// imports. They are written only once the whole is mended, and only if it has no
// error that it had not before.
func (l *linting) mend(name string) error {
	files := overlay{Files: dsl.Disk(), texts: map[string][]byte{}}
	before := -1
	for range rounds {
		opt := l.options(files.texts[name])
		opt.Files = files
		r := inspect.Look(name, opt)
		errors := count(r.Found, diag.Error)
		if before >= 0 && errors > before {
			return fmt.Errorf("%s: mending it would break it; nothing was written", name)
		}
		before = errors
		changed := false
		for _, file := range r.Sources.Files() {
			text, _ := r.Sources.Text(file)
			if mended, n := lint.Apply(file, text, r.Found); n > 0 {
				files.texts[file] = []byte(mended)
				changed = true
			}
		}
		if !changed {
			break
		}
	}
	for _, file := range slices.Sorted(maps.Keys(files.texts)) {
		if err := replace(file, files.texts[file]); err != nil {
			return err
		}
	}
	return nil
}

func count(list diag.List, s diag.Severity) (n int) {
	for _, d := range list {
		if d.Severity == s {
			n++
		}
	}
	return n
}

// overlay shows files as they are going to be.
type overlay struct {
	dsl.Files
	texts map[string][]byte
}

// ReadFile gives the new text of a file, if it has one.
func (o overlay) ReadFile(name string) ([]byte, error) {
	if text, ok := o.texts[name]; ok {
		return text, nil
	}
	return o.Files.ReadFile(name)
}
