package dsl_test

import (
	"path/filepath"
	"reflect"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/format"
)

var rangeType = reflect.TypeFor[diag.Range]()

// placeless empties every range in a value. What several nodes share, as
// defaults and matchers, is met more than once, which does no harm.
func placeless(v reflect.Value, seen map[uintptr]bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.Pointer()] {
			seen[v.Pointer()] = true
			placeless(v.Elem(), seen)
		}
	case reflect.Slice:
		for i := range v.Len() {
			placeless(v.Index(i), seen)
		}
	case reflect.Struct:
		if v.Type() == rangeType {
			v.SetZero()
			return
		}
		for i := range v.NumField() {
			placeless(v.Field(i), seen)
		}
	}
}

// sameMeaning formats a file that is valid, and wants the same configuration
// from the result, places aside.
func sameMeaning(t *testing.T, files archive) {
	t.Helper()
	before, _, _ := load(files)
	if before == nil {
		return
	}
	formatted := archive{}
	for name, src := range files {
		formatted[name] = src
		if out, errs := format.Source(name, src); !errs.HasErrors() {
			formatted[name] = out
		}
	}
	after, _, list := load(formatted)
	if after == nil {
		t.Fatalf("formatting brought errors:\n%v\nin\n%s", list, formatted["Lbfile"])
	}
	for _, c := range []*config.Config{before, after} {
		placeless(reflect.ValueOf(c), map[uintptr]bool{})
	}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("formatting changed the meaning of\n%s\n%s\nto\n%s", files["Lbfile"], show(before), show(after))
	}
}

// TestSameMeaning takes every golden.
func TestSameMeaning(t *testing.T) {
	for _, files := range goldenFiles(t) {
		sameMeaning(t, files)
	}
}

func goldenFiles(t testing.TB) []archive {
	t.Helper()
	names, err := filepath.Glob("testdata/check/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatal("no goldens", err)
	}
	var out []archive
	for _, name := range names {
		a, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files := archive{}
		for _, f := range a.Files {
			if f.Name != "want" && f.Name != "config" {
				files[f.Name] = f.Data
			}
		}
		out = append(out, files)
	}
	return out
}

// TestMeaningNotices makes sure that the comparison can fail.
func TestMeaningNotices(t *testing.T) {
	a, _, _ := load(archive{"Lbfile": []byte("http://:80 {\n\trespond 200 a\n}\n")})
	b, _, _ := load(archive{"Lbfile": []byte("http://:80 {\n\trespond 200 b\n}\n")})
	if a == nil || b == nil {
		t.Fatal("not loaded")
	}
	for _, c := range []*config.Config{a, b} {
		placeless(reflect.ValueOf(c), map[uintptr]bool{})
	}
	if reflect.DeepEqual(a, b) {
		t.Error("two answers are one")
	}
}

// FuzzSameMeaning looks for a valid file that means something else when it has
// been formatted.
func FuzzSameMeaning(f *testing.F) {
	for _, files := range goldenFiles(f) {
		f.Add(files["Lbfile"])
	}
	f.Add([]byte("http://:80 {\r\n\trespond 200 <<X\r\n  a\r\n   b\r\n X # c\r\n}\r\n"))
	f.Add([]byte("http://:80 {\n# lbfmt: off\n  respond   200 \\\n  `a\n b`\n}"))
	f.Fuzz(func(t *testing.T, src []byte) {
		if src == nil {
			src = []byte{}
		}
		sameMeaning(t, archive{"Lbfile": src, "a.lb": []byte("respond  200\n"), "b.lb": src})
	})
}
