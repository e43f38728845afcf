package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/internal/inspect"
	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/format"
)

// TestExamplesKeepTheirMeaning formats every example, as it is and without its
// indentation, and wants the same configuration of the result, places aside:
// the graph is made of nothing else.
func TestExamplesKeepTheirMeaning(t *testing.T) {
	for name, src := range examples(t) {
		var flat strings.Builder
		for line := range strings.Lines(src) {
			flat.WriteString(strings.TrimSpace(line) + "\r\n\r\n\r\n")
		}
		for _, text := range []string{src, flat.String()} {
			out, errs := format.Source(name, []byte(text))
			if errs.HasErrors() {
				t.Fatal(name, errs)
			}
			if !reflect.DeepEqual(meaning(t, name, text), meaning(t, name, string(out))) {
				t.Errorf("%s: formatting changed what it means", name)
			}
		}
	}
}

// meaning loads a text and empties every place in the result.
func meaning(t *testing.T, name, text string) *config.Config {
	t.Helper()
	cfg, _, list := dsl.Load(name, []byte(text), dsl.Options{Vocabulary: inspect.Vocabulary(), Env: environment})
	if cfg == nil {
		t.Fatal(name, list)
	}
	placeless(reflect.ValueOf(cfg), map[uintptr]bool{})
	return cfg
}

var rangeType = reflect.TypeFor[diag.Range]()

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
