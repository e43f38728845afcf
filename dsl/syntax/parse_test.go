package syntax

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

func TestWords(t *testing.T) {
	tests := []struct {
		src  string
		want []string // text, each behind the digit of its Quote
	}{
		{`a b	c`, []string{"0a", "0b", "0c"}},
		{`a # b`, []string{"0a"}},
		{`a#b #c`, []string{"0a#b"}},
		{`"a b" "\"\\\n\t" ""`, []string{"1a b", "1\"\\\n\t", "1"}},
		{"`a\\n` ``", []string{`2a\n`, "2"}},
		{"`a\r\nb`", []string{"2a\nb"}},
		{"<<X\n\ta\n\t  b\n\n\tX c", []string{"3a\n  b\n", "0c"}},
		{"<<X\r\n  a\r\n X\r\n", []string{"3a"}},
		{"<<X\nX", []string{"3"}},
		{"<<X\nXY\n X\n", []string{"3XY"}},
		{"<<X\n  a\n b\nX", []string{"3 a\nb"}},
		{"<<\n", []string{"0<<"}},
		{"<<1X y", []string{"0<<1X", "0y"}},
		{"a \\\n b\\\nc", []string{"0a", "0b", "0c"}},
		{"a \\ \t\r\n b", []string{"0a", "0b"}},
		{`a\b \c`, []string{`0a\b`, `0\c`}},
		{`{client.ip} {$A:x} a{}`, []string{"0{client.ip}", "0{$A:x}", "0a{}"}},
		{`key="a b"`, []string{`0key="a`, `0b"`}},
		{"\uFEFFa", []string{"0a"}},
		{"a\\\n", []string{"0a"}},
		{`a\\`, []string{`0a\\`}},
	}
	for _, tt := range tests {
		f, errs := Parse("f", []byte(tt.src))
		if len(errs) > 0 || len(f.Statements) != 1 {
			t.Errorf("%q: %d statements, %v", tt.src, len(f.Statements), errs)
			continue
		}
		var got []string
		for _, w := range f.Statements[0].Words {
			got = append(got, fmt.Sprint(w.Quote)+w.Text)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", tt.want) {
			t.Errorf("%q: got %q, want %q", tt.src, got, tt.want)
		}
	}
}

func TestBounds(t *testing.T) {
	deep := strings.Repeat("a {\n", 10000)
	tests := []struct {
		name, src, rule string
		line, count     int // of the first error; how many there are
	}{
		{"closed deep", deep + strings.Repeat("}\n", 10000), "too-deep", MaxDepth + 1, 1},
		{"NUL", "a\nb\x00c\n", "bad-character", 2, 1},
		{"UTF-8", "a \xff\n", "bad-character", 1, 1},
		{"lone CR", "a\rb\n", "bad-character", 1, 1},
		{"no-break space", "a\u00a0b\n", "bad-character", 1, 1},
		{"override", "a # \u202e\n", "bad-character", 1, 1},
		{"binary", strings.Repeat("\x00\xff", 1000), "bad-character", 1, maxVetErrors + 1},
		{"closing", strings.Repeat("}\n", 100000), "syntax", 1, maxErrors},
		{"too large", strings.Repeat("a", MaxSize+1), "file-too-large", 0, 1},
		{"too many words", strings.Repeat("a ", MaxTokens), "file-too-large", 1, 1},
		{"too many lines", strings.Repeat("a\n", MaxTokens), "file-too-large", MaxTokens/2 - 3, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, errs := Parse("f", []byte(tt.src))
			if len(errs) != tt.count {
				t.Fatalf("%d errors, want %d: %.500s", len(errs), tt.count, errs.Error())
			}
			if d := errs[0]; d.Rule != tt.rule || d.Range.Start.Line != tt.line {
				t.Errorf("got %v", d)
			}
		})
	}
	if _, errs := Parse("f", []byte(deep)); len(errs) == 0 || !errs.HasErrors() {
		t.Error("unclosed blocks are not reported")
	}
}

func TestComments(t *testing.T) {
	f, errs := Parse("f", []byte("# a\n\n# b\nx { # c\n\n# d\n\ny # e\n# f\n} # g\n# h"))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	x := f.Statements[0]
	y := x.Block.Statements[0]
	got := fmt.Sprintln(texts(x.Leading), x.Block.Comment.Text, texts(y.Leading), y.Trailing.Text, texts(x.Block.Tail), x.Trailing.Text, texts(f.Tail))
	if want := "[# a # b] # c [# d] # e [# f] # g [# h]\n"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !x.Leading[1].Blank || x.Leading[0].Blank || x.Blank || !y.Blank || !y.Leading[0].Blank {
		t.Error("blank lines are lost")
	}
}

func texts(list []Comment) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Text)
	}
	return out
}

// FuzzParse holds any input against what the tree promises: nothing panics,
// every range lies in the file and holds what it says, and braces nest.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"a {\n b \"c\" `d` # e\n}\n", "<<X\na\nX b {\n}\n", "a \\\n b{\n} c {\n}\n", "{\n}\n}\n{ a }\n", "\"\\x\n`", "a\r\nb\rc\x00",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		file, errs := Parse("f", []byte(src))
		for _, d := range errs {
			if s, e := d.Range.Start, d.Range.End; s.Line > 0 && (s.Offset > e.Offset || e.Offset > len(file.Src)) {
				t.Fatalf("range %v of %v", d.Range, d)
			}
		}
		if file.Broken && len(errs) == 0 {
			t.Fatal("broken without an error")
		}
		verify(t, file, file.Statements, 0)
	})
}

func verify(t *testing.T, f *File, list []*Statement, depth int) {
	if depth > MaxDepth {
		t.Fatal("too deep")
	}
	for _, s := range list {
		for _, w := range s.Words {
			r := w.Range
			if f.Src[r.Start.Offset:r.End.Offset] != w.Raw || w.Raw == "" {
				t.Fatalf("word %q at %v", w.Raw, r)
			}
			if want := place(f.Src, r.Start.Offset); utf8.ValidString(f.Src) && r.Start != want {
				t.Fatalf("word %q at %+v, want %+v", w.Raw, r.Start, want)
			}
		}
		if s.Block != nil {
			verify(t, f, s.Block.Statements, depth+1)
		} else if len(s.Words) == 0 {
			t.Fatal("an empty statement")
		}
	}
}

// place computes a place the slow way.
func place(src string, at int) diag.Pos {
	before := src[:at]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return diag.Pos{Offset: at, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(line)}
}
