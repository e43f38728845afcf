package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// session is a client that talks to a server.
type session struct {
	t     *testing.T
	conn  *conn
	toUs  io.Reader
	next  int
	ended chan error
	said  map[string][]diagnostic // by URI
}

// disk is a file system of a test.
type disk map[string]string

func (d disk) ReadFile(name string) ([]byte, error) {
	if src, ok := d[name]; ok {
		return []byte(src), nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (d disk) Glob(pattern string) ([]string, error) {
	var out []string
	for name := range d {
		ok, err := filepath.Match(pattern, name)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

func start(t *testing.T, opt Options) *session {
	t.Helper()
	if opt.Vocabulary == nil {
		opt.Vocabulary = vocabulary()
	}
	if opt.Files == nil {
		opt.Files = disk{}
	}
	in, toServer := io.Pipe()
	toUs, out := io.Pipe()
	s := &session{
		t: t, conn: &conn{in: bufio.NewReader(toUs), out: toServer}, toUs: toUs,
		ended: make(chan error, 1), said: map[string][]diagnostic{},
	}
	go func() {
		err := Serve(in, out, opt)
		s.ended <- err
		out.Close()
		in.Close()
	}()
	return s
}

// open begins a session in /etc/lb with the given documents.
func open(t *testing.T, opt Options, docs map[string]string) *session {
	t.Helper()
	s := start(t, opt)
	var result map[string]any
	s.call("initialize", map[string]any{"workspaceFolders": []any{map[string]any{"uri": "file:///etc/lb"}}}, &result)
	if result["capabilities"] == nil {
		t.Fatal("no capabilities")
	}
	s.notify("initialized", map[string]any{})
	for _, name := range sorted(docs) {
		s.open(name, docs[name])
	}
	return s
}

func sorted(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func uri(name string) string { return "file:///etc/lb/" + name }

func (s *session) open(name, src string) {
	s.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uri(name), "languageId": "lbfile", "version": 1, "text": src}})
}

func (s *session) change(name, src string) {
	s.notify("textDocument/didChange", map[string]any{
		"textDocument": map[string]any{"uri": uri(name), "version": 2}, "contentChanges": []any{map[string]any{"text": src}},
	})
}

func (s *session) notify(method string, params any) {
	s.t.Helper()
	if err := s.conn.write(notification{"2.0", method, params}); err != nil {
		s.t.Fatal(err)
	}
}

// reply is what comes back from the server.
type reply struct {
	message
	Result json.RawMessage `json:"result"`
	Error  *fault          `json:"error"`
}

// receive reads the next message, and keeps it if it is about diagnostics.
func (s *session) receive() (reply, error) {
	var r reply
	body, err := s.conn.read()
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(body, &r); err != nil {
		s.t.Fatalf("%v: %s", err, body)
	}
	if r.Method == "textDocument/publishDiagnostics" {
		var p publishParams
		if err := json.Unmarshal(r.Params, &p); err != nil {
			s.t.Fatal(err)
		}
		s.said[p.URI] = p.Diagnostics
	}
	return r, nil
}

// diagnostics reads up to the next message about a document.
func (s *session) diagnostics(name string) []diagnostic {
	s.t.Helper()
	delete(s.said, uri(name))
	for {
		if got, ok := s.said[uri(name)]; ok {
			return got
		}
		if _, err := s.receive(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// call asks, and reads the answer.
func (s *session) call(method string, params, result any) {
	s.t.Helper()
	if f := s.try(method, params, result); f != nil {
		s.t.Fatalf("%s: %v", method, f)
	}
}

func (s *session) try(method string, params, result any) *fault {
	s.t.Helper()
	s.next++
	id := json.RawMessage(itoa(s.next))
	raw, err := json.Marshal(params)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.conn.write(message{"2.0", id, method, raw}); err != nil {
		s.t.Fatal(err)
	}
	for {
		r, err := s.receive()
		if err != nil {
			s.t.Fatal(err)
		}
		if r.Method != "" || string(r.ID) != string(id) {
			continue
		}
		if r.Error != nil {
			return r.Error
		}
		if result != nil {
			if err := json.Unmarshal(r.Result, result); err != nil {
				s.t.Fatalf("%v: %s", err, r.Result)
			}
		}
		return nil
	}
}

// finish ends the session as the protocol wants it.
func (s *session) finish() {
	s.t.Helper()
	s.call("shutdown", nil, nil)
	s.notify("exit", nil)
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	if _, err := s.conn.read(); !errors.Is(err, io.EOF) {
		s.t.Error("more behind the end:", err)
	}
}

// mark is where the cursor stands in the texts of tests.
const mark = "‸"

// cursor takes the mark out of a text.
func cursor(t *testing.T, src string) (string, position) {
	t.Helper()
	before, after, ok := strings.Cut(src, mark)
	if !ok {
		t.Fatalf("no %s in %q", mark, src)
	}
	return before + after, newText(before).position(len(before))
}

// where gives the parameters of a request about a place.
func where(name string, p position) map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": uri(name)}, "position": p}
}

// vocabulary has one word of every shape.
func vocabulary() *spec.Vocabulary {
	d := func(name string) spec.Word {
		return spec.Word{Name: name, Doc: name + " phase", Args: []spec.Arg{{Name: "TIME", Kind: spec.Duration}}}
	}
	health := spec.Word{
		Name: "health", In: spec.InPool, Doc: "Checks of the servers", Options: []spec.Word{d("interval"), {Name: "rise", Args: []spec.Arg{{Name: "N", Kind: spec.Int}}}},
		Variants: []spec.Word{
			{Name: "http", Doc: "An HTTP request", Args: []spec.Arg{{Name: "METHOD", Kind: spec.Enum, Words: []string{"GET", "HEAD"}, Optional: true}, {Name: "PATH", Kind: spec.String, Optional: true}},
				Options: []spec.Word{{Name: "expect", Args: []spec.Arg{{Name: "STATUSES", Kind: spec.Statuses, Variadic: true}}}}},
			{Name: "tcp", Doc: "A connection"}, {Name: "off"},
		},
	}
	onServer := health
	onServer.In, onServer.Variant = 0, "tcp"
	return &spec.Vocabulary{
		Directives: []spec.Word{
			{Name: "maxconn", Doc: "Connections at a time", In: spec.InProcess | spec.InSite, Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1}}},
			{Name: "proxy", Doc: "Hands over to a pool", In: spec.InSite, Matcher: true, Body: spec.InPool, Args: []spec.Arg{{Name: "POOL", Kind: spec.PoolRef, Variadic: true}}},
			{Name: "respond", Doc: "Answers itself", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{{Name: "STATUS", Kind: spec.Status, Optional: true}, {Name: "BODY", Kind: spec.Template, Optional: true}}},
			{Name: "redirect", Doc: "Sends elsewhere", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{{Name: "TO", Kind: spec.Template}, {Name: "STATUS", Kind: spec.Status, Optional: true}}},
			{Name: "deny", Doc: "Refuses", In: spec.InSite, Matcher: true, Args: []spec.Arg{{Name: "STATUS", Kind: spec.Status, Optional: true}}},
			{Name: "handle", Doc: "Groups directives", In: spec.InHTTPSite, Matcher: true, Body: spec.InHTTPSite},
			{Name: "balance", Doc: "Who is next", In: spec.InPool, Default: "roundrobin", Variants: []spec.Word{
				{Name: "roundrobin", Doc: "In turn"}, {Name: "leastconn"}, {Name: "random", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Optional: true}}}}},
			{Name: "server", Doc: "A server", In: spec.InPool, Repeat: true, Args: []spec.Arg{{Name: "NAME", Kind: spec.String}, {Name: "ADDRESS", Kind: spec.Address}},
				Options: []spec.Word{{Name: "weight", Doc: "Its share", Default: "1", Args: []spec.Arg{{Name: "N", Kind: spec.Int}}}, {Name: "backup"}, onServer}},
			health,
			{Name: "timeout", In: spec.InSite | spec.InPool, Options: []spec.Word{d("connect"), d("idle")}},
			{Name: "table", Doc: "Sticky entries", In: spec.InTop, Args: []spec.Arg{{Name: "NAME", Kind: spec.String}}, Options: []spec.Word{
				{Name: "type", Args: []spec.Arg{{Name: "TYPE", Kind: spec.Enum, Words: []string{"ip", "string"}}}}}},
			{Name: "log", In: spec.InSite, Options: []spec.Word{{Name: "format", Args: []spec.Arg{{Name: "FORMAT", Kind: spec.Template, Log: true, Words: []string{"json"}}}}}},
			{Name: "learn", In: spec.InPool, Args: []spec.Arg{{Name: "TABLE", Kind: spec.TableRef}}},
		},
		Matchers: []spec.Word{
			{Name: "path", Doc: "The path", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "PATH", Kind: spec.Pattern, Variadic: true}}},
			{Name: "host", Doc: "The host", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "HOST", Kind: spec.Pattern, Variadic: true}}},
			{Name: "scheme", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "SCHEME", Kind: spec.Enum, Words: []string{"http", "https"}}}},
			{Name: "sni", In: spec.InTCPSite, Args: []spec.Arg{{Name: "NAME", Kind: spec.Pattern, Variadic: true}}},
			{Name: "client", In: spec.InSite, Args: []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true}}},
		},
		Placeholders: []spec.Placeholder{{Name: "client.ip", Doc: "the client's address"}, {Name: "http.host", Doc: "the host", HTTP: true}, {Name: "http.header.*", Doc: "a field", HTTP: true}, {Name: "log.status", Log: true}},
	}
}
