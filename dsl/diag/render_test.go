package diag

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// mark gives the range of the first occurrence of a text.
func mark(file, src, text string) Range {
	at := strings.Index(src, text)
	pos := func(at int) Pos {
		line := src[strings.LastIndexByte(src[:at], '\n')+1 : at]
		return Pos{Offset: at, Line: 1 + strings.Count(src[:at], "\n"), Column: 1 + utf8.RuneCountInString(line)}
	}
	return Range{File: file, Start: pos(at), End: pos(at + len(text))}
}

func render(t *testing.T, src string, style Style, list ...Diagnostic) string {
	t.Helper()
	var s Sources
	s.Add("Lbfile", src)
	var b bytes.Buffer
	if err := Render(&b, list, &s, style); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRender(t *testing.T) {
	src := strings.Repeat("\n", 13) + "    server web1 10.0.0.1:80 wieght 2\n\t漢字\tx\u0301y z\x1b[2J \r\nlast"
	tests := []struct {
		name, want string
		d          Diagnostic
	}{
		{"the language page's example", `
Lbfile:14:29: error: unknown option "wieght" of server  [unknown-option]
   |
14 |     server web1 10.0.0.1:80 wieght 2
   |                             ^^^^^^
   = did you mean "weight"?
`, Diagnostic{Range: mark("Lbfile", src, "wieght"), Rule: "unknown-option", Message: `unknown option "wieght" of server`, Help: []string{`did you mean "weight"?`}}},
		{"tabs, wide and combining characters, escapes", `
Lbfile:15:5: warning: here
   |
15 |     漢字    x` + "\u0301" + `y z` + "\uFFFD" + `[2J
   |             ^^
`, Diagnostic{Severity: Warning, Range: mark("Lbfile", src, "x\u0301y"), Message: "here"}},
		{"wide marks, and a label", `
Lbfile:15:2: info: here  [r]
   |
15 |     漢字    x` + "\u0301" + `y z` + "\uFFFD" + `[2J
   |     ^^^^
   |
16 | last
   | ---- there
   = other.lb:3:1: elsewhere
`, Diagnostic{Severity: Info, Range: mark("Lbfile", src, "漢字"), Message: "here", Rule: "r", Labels: []Label{
			{mark("Lbfile", src, "last"), "there"},
			{Range{File: "other.lb", Start: Pos{Line: 3, Column: 1}, End: Pos{Line: 3, Column: 2}}, "elsewhere"},
		}}},
		{"no place", "\nerror: no \uFFFD place\n", Diagnostic{Message: "no \x1b place"}},
		{"no source", "\nx.lb: error: unreadable\n", Diagnostic{Range: Range{File: "x.lb"}, Message: "unreadable"}},
		{"a range that the text does not have", "\nLbfile:99:1: error: gone\n", Diagnostic{
			Range: Range{File: "Lbfile", Start: Pos{Offset: 9999, Line: 99, Column: 1}}, Message: "gone",
		}},
		{"several lines", `
Lbfile:14:29: error: long
   |
14 |     server web1 10.0.0.1:80 wieght 2
   |                             ^^^^^^^^
`, Diagnostic{Range: Range{File: "Lbfile", Start: mark("Lbfile", src, "wieght").Start, End: mark("Lbfile", src, "last").End}, Message: "long"}},
	}
	for _, tt := range tests {
		if got := render(t, src, Style{}, tt.d); got != tt.want[1:] {
			t.Errorf("%s: got\n%s\nwant\n%s", tt.name, got, tt.want[1:])
		}
	}
}

func TestRenderLongLine(t *testing.T) {
	src := strings.Repeat("é", 100000) + "HERE" + strings.Repeat("é", 100000)
	got := render(t, src, Style{}, Diagnostic{Range: mark("Lbfile", src, "HERE"), Message: "m"})
	lines := strings.Split(got, "\n")
	if len(lines) < 4 || len(lines[2]) > 400 {
		t.Fatalf("got %q", got)
	}
	at := utf8.RuneCountInString(lines[2][:strings.Index(lines[2], "HERE")])
	if strings.Index(lines[3], "^^^^") != at {
		t.Errorf("the mark stands wrong:\n%s", got)
	}
}

func TestRenderColor(t *testing.T) {
	got := render(t, "a", Style{Color: true}, Diagnostic{Range: mark("Lbfile", "a", "a"), Message: "m"})
	if want := "Lbfile:1:1: \x1b[1;31merror:\x1b[0m \x1b[1mm\x1b[0m\n"; !strings.HasPrefix(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestStyleFor(t *testing.T) {
	null, err := os.Open(os.DevNull) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	if !StyleFor(null).Color {
		t.Error("no colour on a device")
	}
	t.Setenv("NO_COLOR", "1")
	if StyleFor(null).Color {
		t.Error("colour against NO_COLOR")
	}
	t.Setenv("NO_COLOR", "")
	file, err := os.Create(t.TempDir() + "/x")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if StyleFor(file).Color {
		t.Error("colour into a file")
	}
}

func TestJSON(t *testing.T) {
	in := List{{
		Severity: Warning, Range: mark("f", "ab", "b"), Message: "m", Rule: "r", Help: []string{"h"},
		Labels: []Label{{mark("f", "ab", "a"), "l"}}, Fixes: []Fix{{"t", []Edit{{mark("f", "ab", "a"), "x"}}}},
	}}
	text, err := MarshalList(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), `[{"severity":"warning","range":{"file":"f","start":{"offset":1,"line":1,"column":2}`) {
		t.Errorf("got %s", text)
	}
	out, err := UnmarshalList(text)
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got %+v, %v", out, err)
	}
	if text, err := MarshalList(nil); err != nil || string(text) != "[]" {
		t.Errorf("the empty list is %s, %v", text, err)
	}
	if _, err := UnmarshalList([]byte(`[{"severity":"fatal"}]`)); err == nil {
		t.Error("an unknown severity is accepted")
	}
}
