package lsp

import (
	"sort"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

type syntaxFile = syntax.File

// TestRename renames what stands at the mark to "new", and compares the text:
// so definitions and references are tested as well.
func TestRename(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"a pool", "http://:80 {\n\t@web path /web\n\tproxy @web we‸b\n\tproxy \"web\"\n}\npool web {\n\tserver web 10.0.0.1:80\n}\ntest \"web\" {\n\trequest GET /web\n\texpect pool web\n}\n",
			"http://:80 {\n\t@web path /web\n\tproxy @web new\n\tproxy \"new\"\n}\npool new {\n\tserver web 10.0.0.1:80\n}\ntest \"web\" {\n\trequest GET /web\n\texpect pool new\n}\n"},
		{"a pool that a snippet is given", "(s) {\n\tproxy {args.1}\n\trespond {args.0}\n}\nhttp://:80 {\n\timport s web web\n}\npool ‸web {\n}\n",
			"(s) {\n\tproxy {args.1}\n\trespond {args.0}\n}\nhttp://:80 {\n\timport s web new\n}\npool new {\n}\n"},
		{"a matcher", "http://:80 {\n\t@a path /a\n\t@b not (@a and path @a) or (@a)\n\thandle ‸@a {\n\t\tdeny @a\n\t}\n}\nhttp://:81 {\n\t@a path /a\n\tdeny @a\n}\n",
			"http://:80 {\n\t@new path /a\n\t@b not (@new and path @a) or (@new)\n\thandle @new {\n\t\tdeny @new\n\t}\n}\nhttp://:81 {\n\t@a path /a\n\tdeny @a\n}\n"},
		{"a snippet", "(‸s) {\n\tdeny\n}\nhttp://:80 {\n\timport s\n}\n", "(new) {\n\tdeny\n}\nhttp://:80 {\n\timport new\n}\n"},
		{"a table", "table ‸t {\n\ttype ip\n}\npool t {\n\tlearn t\n}\n", "table new {\n\ttype ip\n}\npool t {\n\tlearn new\n}\n"},
		{"what several pools share", "http://:80 {\n\tproxy a ‸b\n}\npool a {\n}\npool b {\n}\n", "http://:80 {\n\tproxy a new\n}\npool a {\n}\npool new {\n}\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, at := cursor(t, tt.src)
			s := open(t, Options{}, map[string]string{"Lbfile": src})
			var prepared struct{ Placeholder string }
			s.call("textDocument/prepareRename", where("Lbfile", at), &prepared)
			if prepared.Placeholder == "" {
				t.Error("nothing to rename")
			}
			var edit workspaceEdit
			p := where("Lbfile", at)
			p["newName"] = "new"
			s.call("textDocument/rename", p, &edit)
			got := apply(src, edit.Changes[uri("Lbfile")])
			if got != tt.want {
				t.Errorf("got\n%s", got)
			}
			var places []location
			p["context"] = map[string]any{"includeDeclaration": true}
			s.call("textDocument/references", p, &places)
			if len(places) != len(edit.Changes[uri("Lbfile")]) {
				t.Errorf("%d references, %d edits", len(places), len(edit.Changes[uri("Lbfile")]))
			}
			s.call("textDocument/definition", p, &places)
			if len(places) != 1 {
				t.Errorf("%d definitions", len(places))
			}
			s.finish()
		})
	}
}

func apply(src string, edits []textEdit) string {
	x := newText(src)
	sort.Slice(edits, func(i, j int) bool { return x.offset(edits[i].Range.Start) > x.offset(edits[j].Range.Start) })
	for _, e := range edits {
		src = src[:x.offset(e.Range.Start)] + e.NewText + src[x.offset(e.Range.End):]
	}
	return src
}

func TestRenameRefused(t *testing.T) {
	tests := []struct{ name, src, to, want string }{
		{"a bad name", "pool ‸a {\n}\n", "a b", "letters"},
		{"a dotted snippet", "(‸a) {\n}\n", "a.b", "letters"},
		{"a name in use", "pool ‸a {\n}\npool b {\n}\n", "b", "already"},
		{"a matcher of a block around", "http://:80 {\n\t@a path /a\n\thandle {\n\t\t@‸b path /b\n\t}\n}\n", "a", "already"},
		{"what is not defined", "http://:80 {\n\tproxy ‸a\n}\n", "b", "only"},
		{"no name", "http://:80 {\n\tre‸spond\n}\n", "b", "only"},
		{"a broken file", "pool ‸a {\n", "b", "not closed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, at := cursor(t, tt.src)
			s := open(t, Options{}, map[string]string{"Lbfile": src})
			p := where("Lbfile", at)
			p["newName"] = tt.to
			if f := s.try("textDocument/rename", p, nil); f == nil || !strings.Contains(f.Message, tt.want) {
				t.Errorf("got %v", f)
			}
			s.finish()
		})
	}
}

func TestHover(t *testing.T) {
	tests := []struct{ src, want string }{
		{"http://:80 {\n\tres‸pond 200\n}\n", "Answers itself"},
		{"pool x {\n\tserver a 10.0.0.1:80 weight‸ 2\n}\n", "Its share"},
		{"pool x {\n\tserver a 10.0.0.1:80 weight 2‸\n}\n", "`N` (number)"},
		{"pool x {\n\thealth h‸ttp\n}\n", "An HTTP request"},
		{"http://:80 {\n\t@x p‸ath /a\n}\n", "The path"},
		{"http://:80 {\n\tproxy w‸eb\n}\npool web {\n\tserver a 10.0.0.1:80\n}\n", "pool web {\n\tserver a 10.0.0.1:80\n}"},
		{"http://:80 {\n\t@x path /a\n\tdeny ‸@x\n}\n", "@x path /a"},
		{"http://:80 {\n\tredirect /a{http.ho‸st}\n}\n", "the host"},
		{"http://:80 {\n\tredirect /a{http.header.X‸-Y}\n}\n", "a field"},
		{"pool x {\n\thealth http ‸GET\n}\n", "`GET`, `HEAD`"},
		{"nothing ‸here\n", ""},
		{"http://:80 {\n\t‸\n}\n", ""},
	}
	for _, tt := range tests {
		src, at := cursor(t, tt.src)
		s := open(t, Options{}, map[string]string{"Lbfile": src})
		var h hover
		s.call("textDocument/hover", where("Lbfile", at), &h)
		got := ""
		if h.Contents != nil {
			got = h.Contents.Value
		}
		if (tt.want == "") != (got == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q", tt.src, got)
		}
		s.finish()
	}
}

func TestOutline(t *testing.T) {
	src := "{\n\tmaxconn 1\n}\n(s) {\n}\nhttp://:80, http://:81 {\n\t@x path /a\n\thandle /b {\n\t\t@y path /c\n\t}\n}\npool web {\n\tserver a 10.0.0.1:80\n}\ntest \"it works\" {\n}\n"
	s := open(t, Options{}, map[string]string{"Lbfile": src})
	var list []symbol
	s.call("textDocument/documentSymbol", where("Lbfile", position{}), &list)
	var names []string
	var walk func([]symbol, string)
	walk = func(list []symbol, indent string) {
		for _, sy := range list {
			names = append(names, indent+sy.Name)
			walk(sy.Children, indent+"-")
		}
	}
	walk(list, "")
	want := "{ }|(s)|http://:80,|-@x|-handle|--@y|web|-a|it works"
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("got %s", got)
	}
	s.finish()
}

func TestFormat(t *testing.T) {
	tests := []struct{ src, want string }{
		{"a {\n  b\n}\n", "a {\n\tb\n}\n"},
		{"# x\na {\n\tb\n  c\n\td\n}\n", "# x\na {\n\tb\n\tc\n\td\n}\n"},
		{"a {\n\tb\n}", "a {\n\tb\n}\n"},
		{"a {\n\tb\n}\n\n\n", "a {\n\tb\n}\n"},
		{"a\r\nb\r\n", "a\nb\n"},
		{"a {\n  b\n", "a {\n  b\n"},
		{"", ""},
	}
	for _, tt := range tests {
		s := open(t, Options{}, map[string]string{"Lbfile": tt.src})
		var edits []textEdit
		s.call("textDocument/formatting", where("Lbfile", position{}), &edits)
		if got := apply(tt.src, edits); got != tt.want {
			t.Errorf("%q became %q by %+v", tt.src, got, edits)
		}
		s.finish()
	}
}
