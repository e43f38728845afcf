package dsl_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/format"
)

var large = flag.Bool("large", false, "read hostile files of 10 MB rather than 1 MB")

// TestHostile reads large files that are made of one thing. Whatever takes more
// than linear time takes hours here, and runs into the deadline of the tests.
func TestHostile(t *testing.T) {
	size := 1 << 20
	switch {
	case *large:
		size = 10 << 20
	case testing.Short() || raceDetector:
		size = 128 << 10
	}
	site := func(body string) string { return "http://:80 {\n" + body + "\n}\n" }
	many := func(text string) string { return strings.Repeat(text, size/len(text)) }
	tests := []struct{ name, src string }{
		{"one word", many("a")},
		{"words", many("a ")},
		{"lines", many("a\n")},
		{"empty lines", many("\n")},
		{"comments", many("# a\n")},
		{"opening braces", many("a {\n")},
		{"closing braces", many("}\n")},
		{"braces in a line", many("{ } ")},
		{"blocks in a line", many("a { } ")},
		{"10,000 deep", strings.Repeat("a {\n", 10_000) + strings.Repeat("}\n", 10_000)},
		{"joins", many("a\\\n")},
		{"backslashes", many("\\")},
		{"backslashes and blanks", many("\\ ")},
		{"quotes", many("\"")},
		{"escapes", `a "` + many("\\x") + "\"\n"},
		{"backquotes", many("`")},
		{"heredocs", many("<<A\n")},
		{"closed heredocs", many("a <<A\nA\n")},
		{"names of heredocs", many("<<A ")},
		{"variables that do not end", site("respond 200 " + many("{$"))},
		{"nested variables", site("respond 200 " + many("{$A:"))},
		{"variables", site("respond 200 \"" + many("{$PORT} ") + "\"")},
		{"variables without a value", site("respond 200 \"" + many("{$NO} ") + "\"")},
		{"arguments that do not end", "(s) {\n" + many("{args.") + "\n}\n" + site("import s a")},
		{"arguments", "(s) {\nrespond 200 \"" + many("{args.0}") + "\"\n}\n" + site("import s a")},
		{"placeholders that do not end", site("respond 200 " + many("{"))},
		{"placeholders", site("respond 200 " + many("{client.ip}"))},
		{"parentheses", site("@a " + many("("))},
		{"parentheses and words", site("@a " + many("( "))},
		{"closing parentheses", site("@a path a" + many(")"))},
		{"nots", site("@a " + many("not "))},
		{"conditions", site("@a path /a" + many(" and path /a"))},
		{"matchers", site(numbered("@%d path /a\n", size))},
		{"matchers that are not used right", site(numbered("@%d path /a\ndeny @x%d\n", size))},
		{"a chain of matchers", site(chain("@%d @%d\n", size/2) + "deny @0")},
		{"a chain of matchers from its end", site("deny @0\n" + chain("@%d @%d\n", size/2))},
		{"doubled matchers", site(chain("@%d @%d and @%d\n", 1000) + "deny @0")},
		{"pools that are misspelt", numbered("pool p%d {\n}\n", size/2) + site(numbered("proxy q%d\n", size/2))},
		{"snippets", numbered("(s%d) {\n}\n", size/2) + site(numbered("import t%d\n", size/2))},
		{"imports of nothing", many("import x.lb\n")},
		{"imports of a file", many("import a.lb\n")},
		{"imports of itself", many("import Lbfile\n")},
		{"imports of a snippet", "(s) {\nlog\n}\n" + site(many("import s\n"))},
		{"a snippet that imports itself", "(s) {\n" + many("import s\n") + "}\n" + site("import s")},
		{"unknown options", "pool a {\nserver a 10.0.0.1:80 " + many("wieght ") + "\n}\n"},
		{"repeated options", "pool a {\npersist cookie A {\n" + many("domain a\n") + "}\n}\n"},
		{"repeated options in a line", "pool a {\npersist cookie A " + many("domain a ") + "\n}\n"},
		{"two kinds of repeated options", "pool a {\npersist cookie A {\n" + many("domain a\ninsert\n") + "}\n}\n"},
		{"servers", "pool a {\n" + numbered("server s%d 10.0.0.1:80\n", size) + "}\n"},
		{"one server", "pool a {\n" + many("server s 10.0.0.1:80\n") + "}\n"},
		{"sites", numbered("http://a%d:80 {\n}\n", size)},
		{"one site", many("http://a:80 {\n}\n")},
		{"addresses", many("http://a:80, ") + "http://b:80 {\n}\n"},
		{"commas", many(",") + " {\n}\n"},
		{"global options", many("{\n}\n")},
		{"formatting off", many("# lbfmt: off\n")},
		{"formatting off and on", many("# lbfmt: off\na  b\n# lbfmt: on\n")},
		{"trailing comments", many("a # b\n")},
		{"CR", many("\r")},
		{"CRLF", many("\r\n")},
		{"NUL", many("\x00")},
		{"invalid UTF-8", many("\xff")},
		{"wide letters", many("漢")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := []byte(tt.src)
			files := archive{"Lbfile": src, "a.lb": []byte("log\n")}
			cfg, _, list := dsl.Load("Lbfile", src, dsl.Options{Vocabulary: vocabulary(), Env: lookup, FS: files})
			if (cfg == nil) != list.HasErrors() || len(list) > dsl.MaxShown+1 {
				t.Errorf("configuration %v, %d diagnostics", cfg != nil, len(list))
			}
			if out, errs := format.Source("Lbfile", src); (out == nil) != errs.HasErrors() {
				t.Errorf("%d bytes, %d errors", len(out), len(errs))
			}
		})
	}
}

// numbered repeats a line with the numbers 0, 1, 2… in the place of %d.
func numbered(line string, size int) string {
	var b strings.Builder
	digits := []byte{'0'}
	for b.Len() < size {
		b.WriteString(strings.ReplaceAll(line, "%d", string(digits)))
		i := len(digits) - 1
		for ; i >= 0 && digits[i] == '9'; i-- {
			digits[i] = '0'
		}
		if i < 0 {
			digits = append([]byte{'1'}, digits...)
		} else {
			digits[i]++
		}
	}
	return b.String()
}

// TestConditionExplosion doubles a matcher at each step: 2^40 conditions, if
// all of them were tried.
func TestConditionExplosion(t *testing.T) {
	src := "http://:80 {\n@m0 path /a\n"
	for i := range 40 {
		src += fmt.Sprintf("@m%d @m%d and @m%d\n", i+1, i, i)
	}
	_, _, list := load(archive{"Lbfile": []byte(src + "deny @m40\n}\n")})
	if len(list) != 1 || list[0].Rule != "too-large" {
		t.Errorf("got %.300s", list.Error())
	}
}

// chain names in each line the one below it: @0 @1, @1 @2…
func chain(line string, size int) string {
	lines := strings.Split(strings.TrimSpace(numbered("%d\n", size/4)), "\n")
	var b strings.Builder
	for i, n := range lines[:len(lines)-1] {
		b.WriteString(strings.ReplaceAll(strings.Replace(line, "%d", n, 1), "%d", lines[i+1]))
	}
	b.WriteString("@" + lines[len(lines)-1] + " path /a\n")
	return b.String()
}

// TestLargest reads 100 MB, as a file that was confused with another one would
// be.
func TestLargest(t *testing.T) {
	src := make([]byte, 100<<20)
	for i := range src {
		src[i] = 'a'
	}
	voc := vocabulary()
	allocated := testing.AllocsPerRun(1, func() {
		cfg, _, list := dsl.Load("Lbfile", src, dsl.Options{Vocabulary: voc, FS: archive{}})
		if cfg != nil || len(list) != 1 || list[0].Rule != "file-too-large" {
			t.Errorf("got %v", list)
		}
	})
	if allocated > 100 {
		t.Errorf("%v allocations for a file that is not read", allocated)
	}
}
