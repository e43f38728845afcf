package lsp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// TestDiagnostics follows a text while it is written.
func TestDiagnostics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{}, map[string]string{"Lbfile": "http://:80 {\n\tproxi web\n}\npool web {\n\tserver é 10.0.0.1:80 wieght 2\n}\n"})
		got := s.diagnostics("Lbfile")
		if len(got) != 2 || got[0].Code != "unknown-directive" || !strings.Contains(got[0].Message, `did you mean "proxy"?`) {
			t.Fatalf("%+v", got)
		}
		if want := (rangeOf{position{4, 22}, position{4, 28}}); got[1].Range != want {
			t.Errorf("range %v, want %v", got[1].Range, want)
		}

		// Several changes in a row are checked once, after the last one.
		begin := time.Now()
		s.change("Lbfile", "http://:80 {\n")
		s.change("Lbfile", "http://:80 {\n\trespond 200\n}\n")
		if got = s.diagnostics("Lbfile"); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		if waited := time.Since(begin); waited != 150*time.Millisecond {
			t.Errorf("checked after %v", waited)
		}

		// A broken file has diagnostics, too.
		s.change("Lbfile", "http://:80 {\n\trespond 200\n")
		if got = s.diagnostics("Lbfile"); len(got) != 1 || got[0].Code != "unclosed-block" || got[0].Range.Start.Line != 0 {
			t.Errorf("%+v", got)
		}
		s.finish()
	})
}

// TestProject opens files that belong together: what is imported is not
// judged on its own, and an open text goes before the file.
func TestProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files := disk{
			"/etc/lb/Lbfile":     "import pools.lb\nhttp://:80 {\n\timport sites/*.lb\n}\n",
			"/etc/lb/pools.lb":   "pool old {\n\tserver a 10.0.0.1:80\n}\n",
			"/etc/lb/sites/a.lb": "proxy web\n",
			"/etc/lb/sites/b.lb": "respond 200\n",
		}
		s := open(t, Options{Files: files}, map[string]string{"sites/a.lb": "proxy webb\n"})
		got := s.diagnostics("sites/a.lb")
		if len(got) != 1 || got[0].Code != "undefined-name" || len(got[0].Related) != 1 || got[0].Related[0].Location.URI != uri("Lbfile") {
			t.Fatalf("%+v", got)
		}
		s.open("pools.lb", "pool webb {\n\tserver a 10.0.0.1:80\n}\n")
		if got = s.diagnostics("sites/a.lb"); len(got) != 0 {
			t.Errorf("%+v", got)
		}
		var places []location
		s.call("textDocument/definition", where("sites/a.lb", position{0, 8}), &places)
		if len(places) != 1 || places[0].URI != uri("pools.lb") || places[0].Range != (rangeOf{position{0, 5}, position{0, 9}}) {
			t.Errorf("definition %+v", places)
		}
		var items []completionItem
		s.call("textDocument/completion", where("sites/a.lb", position{1, 0}), &items)
		if len(items) == 0 || items[0].Label != "maxconn" {
			t.Errorf("the file's place is not known: %+v", items)
		}
		// A text alone is a root itself.
		s.open("alone.lb", "respond 200\n")
		if got = s.diagnostics("alone.lb"); len(got) != 1 || got[0].Code != "misplaced-directive" {
			t.Errorf("%+v", got)
		}
		s.finish()
	})
}

// TestLint passes the linter's findings and fixes on.
func TestLint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lint := func(cfg *config.Config, _ *dsl.Sources, found diag.List) diag.List {
			r := cfg.Sites[0].Range
			return append(found, diag.List{{Severity: diag.Warning, Range: r, Rule: "no-fallback", Message: "nothing answers",
				Fixes: []diag.Fix{{Title: "Answer", Edits: []diag.Edit{{Range: r, Text: "http://:81"}}}}}}...)
		}
		s := open(t, Options{Lint: lint}, map[string]string{"Lbfile": "http://:80 {\n\trespond 200\n}\n"})
		got := s.diagnostics("Lbfile")
		if len(got) != 1 || got[0].Code != "no-fallback" || got[0].Severity != severityWarning {
			t.Fatalf("%+v", got)
		}
		var actions []codeAction
		s.call("textDocument/codeAction", map[string]any{"textDocument": documentID{uri("Lbfile")}, "range": got[0].Range, "context": map[string]any{}}, &actions)
		if len(actions) != 1 || actions[0].Edit.Changes[uri("Lbfile")][0].NewText != "http://:81" {
			t.Errorf("%+v", actions)
		}
		s.finish()
	})
}

// TestVariable says what is not set here mildly: it may be set there.
func TestVariable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, Options{}, map[string]string{"Lbfile": "http://:{$PORT} {\n\trespond 200\n}\n"})
		if got := s.diagnostics("Lbfile"); len(got) != 1 || got[0].Severity != severityWarning {
			t.Errorf("%+v", got)
		}
		s.finish()
	})
}

// TestProtocol keeps to the order of a session.
func TestProtocol(t *testing.T) {
	s := start(t, Options{})
	if f := s.try("textDocument/hover", where("Lbfile", position{}), nil); f == nil || f.Code != codeNotInitialized {
		t.Errorf("before initialize: %v", f)
	}
	s.call("initialize", map[string]any{"rootUri": "file:///etc/lb", "workspaceFolders": nil}, nil)
	if f := s.try("textDocument/nope", nil, nil); f == nil || f.Code != codeUnknownMethod {
		t.Errorf("an unknown method: %v", f)
	}
	if f := s.try("textDocument/hover", where("Lbfile", position{}), nil); f == nil || f.Code != codeInvalidParams {
		t.Errorf("a closed document: %v", f)
	}
	s.notify("$/cancelRequest", map[string]any{"id": 1})
	s.call("shutdown", nil, nil)
	if f := s.try("textDocument/hover", nil, nil); f == nil || f.Code != codeInvalidRequest {
		t.Errorf("after shutdown: %v", f)
	}
	s.notify("exit", nil)
	if err := <-s.ended; err != nil {
		t.Error(err)
	}
}

// TestStream gives the server what no client should send.
func TestStream(t *testing.T) {
	frame := func(body string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body) }
	begin := frame(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`)
	tests := []struct {
		name, in, out string
		err           error
	}{
		{"nothing", "", "", ErrNoShutdown},
		{"no header", "hello\n", "", errFraming},
		{"no length", "Content-Type: x\r\n\r\n{}", "", errFraming},
		{"a bad length", "Content-Length: -1\r\n\r\n", "", errFraming},
		{"a short body", "Content-Length: 10\r\n\r\n{}", "", io.ErrUnexpectedEOF},
		{"a lie", "Content-Length: 99999999999\r\n\r\n{}", "", io.ErrUnexpectedEOF},
		{"no JSON", frame("{"), `"code":-32700`, ErrNoShutdown},
		{"an array", frame("[]"), `"code":-32700`, ErrNoShutdown},
		{"exit at once", frame(`{"jsonrpc":"2.0","method":"exit"}`), "", ErrNoShutdown},
		{"a long header", strings.Repeat("x", 1<<20), "", errFraming},
		{"params of another kind", begin + frame(`{"jsonrpc":"2.0","id":"a","method":"textDocument/hover","params":[1]}`), `"code":-32602`, ErrNoShutdown},
		{"a text that is none", begin + frame(`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a","text":7}}}`), "", ErrNoShutdown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Serve(strings.NewReader(tt.in), &out, Options{Vocabulary: vocabulary(), Files: disk{}})
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if !strings.Contains(out.String(), tt.out) {
				t.Errorf("answered %s", out.String())
			}
		})
	}
}

func TestText(t *testing.T) {
	x := newText("aé\U0001F600b\r\nc\rd\n")
	for offset, want := range map[int]position{0: {0, 0}, 1: {0, 1}, 3: {0, 2}, 7: {0, 4}, 10: {1, 0}, 12: {2, 0}, 14: {3, 0}} {
		if got := x.position(offset); got != want {
			t.Errorf("position(%d) = %v, want %v", offset, got, want)
		}
		if got := x.offset(want); got != offset {
			t.Errorf("offset(%v) = %d, want %d", want, got, offset)
		}
	}
	for p, want := range map[position]int{{0, 99}: 8, {9, 0}: 14, {-1, 5}: 0, {1, -3}: 10, {0, 3}: 3} {
		if got := x.offset(p); got != want {
			t.Errorf("offset(%v) = %d, want %d", p, got, want)
		}
	}
}

// FuzzServe sends documents and questions about every kind of place, then the
// raw bytes as a stream.
func FuzzServe(f *testing.F) {
	f.Add("http://:80 {\n\t@x not (path /a or @y)\n\tproxy @x web\n}\npool web {\n\tserver a 10.0.0.1:80 health http\n}\n(s) {\n\timport s {args.0}\n}\nimport s web\nimport Lbfile\n", uint16(30))
	f.Add("{\n}\n}\ntest \"x\" {\n expect pool a\n}\ntable a {\n type {args.0}\n", uint16(3))
	f.Add("a{$ \"b{\" `c` <<X\n d\nX {\n @ @a @( () (a b)\n pool\n import\n", uint16(60))
	f.Add("Content-Length: 2\r\n\r\n{}", uint16(0))
	v := vocabulary()
	f.Fuzz(func(t *testing.T, src string, at uint16) {
		s := &server{
			opt:  Options{Vocabulary: v, Files: disk{}, Env: func(string) (string, bool) { return "", false }},
			conn: &conn{in: bufio.NewReader(strings.NewReader("")), out: io.Discard}, state: running,
			docs: map[string]*document{}, published: map[string]string{}, trees: map[string]*syntaxFile{},
		}
		s.set(uri("Lbfile"), src)
		s.set(uri("other.lb"), "import Lbfile\n"+src)
		for name, d := range s.docs {
			p := &placeParams{Position: d.position(int(at)), NewName: "renamed"}
			p.Context.IncludeDeclaration = true
			for _, ask := range []func(*document, *placeParams) (any, error){
				s.complete, s.hover, s.definition, s.references, s.highlight, s.prepareRename, s.rename, s.outline, s.format,
			} {
				if got, err := ask(d, p); err == nil && name != "" {
					if err := s.conn.write(got); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if err := s.publish(); err != nil {
			t.Fatal(err)
		}
		_ = Serve(strings.NewReader(src), io.Discard, Options{Vocabulary: v, Files: disk{}})
	})
}
