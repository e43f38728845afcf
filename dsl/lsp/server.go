package lsp

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// Options are what a server needs from outside.
type Options struct {
	Vocabulary *spec.Vocabulary
	// Env looks up a variable of the environment; nil knows none. What is not
	// set where one edits is a warning only.
	Env func(name string) (string, bool)
	// Files are what is not open in the editor; nil: the system's.
	Files dsl.Files
	// Lint adds to what was found in a configuration, and may drop of it what
	// the text says is meant; cfg is nil if there are errors. nil: no linter.
	Lint func(cfg *config.Config, sources *dsl.Sources, found diag.List) diag.List
	// Delay is the time without a change after which a text is checked; 0
	// means 150 ms.
	Delay time.Duration
}

// server is one session.
type server struct {
	opt   Options
	conn  *conn
	state state

	docs    map[string]*document // open, by the name of their file
	folders []string             // of the workspace, as paths
	dirty   bool                 // a check is due
	// generation counts changes of any text, and says whether projects and
	// their index are still true.
	generation int
	trees      map[string]*syntax.File // of open documents
	projects   *projects
	published  map[string]string            // what was last said of a file, as JSON
	fixes      map[string][]diag.Diagnostic // of the last check, by file
}

type state uint8

const (
	fresh state = iota
	running
	stopped // shutdown was asked for
)

// ErrNoShutdown says that the client left without the shutdown that the
// protocol wants; the process should then exit with 1.
var ErrNoShutdown = errors.New("lsp: exit without shutdown")

// Serve runs a session until the client says exit or the stream ends. It
// gives nil after a proper shutdown.
func Serve(in io.Reader, out io.Writer, opt Options) error {
	if opt.Delay == 0 {
		opt.Delay = 150 * time.Millisecond
	}
	if opt.Env == nil {
		opt.Env = func(string) (string, bool) { return "", false }
	}
	if opt.Files == nil {
		opt.Files = dsl.Disk()
	}
	s := &server{
		opt: opt, conn: &conn{in: bufio.NewReader(in), out: out},
		docs: map[string]*document{}, published: map[string]string{}, trees: map[string]*syntax.File{},
	}
	type incoming struct {
		body []byte
		err  error
	}
	messages, done := make(chan incoming), make(chan struct{})
	defer close(done)
	go func() {
		for {
			body, err := s.conn.read()
			select {
			case messages <- incoming{body, err}:
			case <-done:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	timer := time.NewTimer(opt.Delay)
	defer timer.Stop()
	for {
		select {
		case m := <-messages:
			if m.err != nil {
				return s.ended(m.err)
			}
			before := s.generation
			exit, err := s.message(m.body)
			if exit || err != nil {
				return err
			}
			if s.generation != before {
				timer.Reset(opt.Delay)
			}
		case <-timer.C:
			if err := s.publish(); err != nil {
				return err
			}
		}
	}
}

// ended says what the end of the stream means.
func (s *server) ended(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if s.state != stopped {
		return ErrNoShutdown
	}
	return nil
}

// message answers one message; exit says that it was the last.
func (s *server) message(body []byte) (exit bool, err error) {
	var m message
	if body == nil {
		return false, s.refuse(nil, codeInvalidRequest, "the message is too large")
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return false, s.refuse(nil, codeParse, "the message is no JSON object: "+err.Error())
	}
	if m.Method == "" {
		return false, nil // an answer to something we did not ask
	}
	if m.ID == nil {
		return s.notified(&m)
	}
	switch {
	case m.Method == "initialize" && s.state == fresh:
		s.initialize(m.Params)
		return false, s.answer(m.ID, capabilities)
	case s.state == fresh:
		return false, s.refuse(m.ID, codeNotInitialized, "initialize comes first")
	case s.state == stopped:
		return false, s.refuse(m.ID, codeInvalidRequest, "nothing may follow shutdown but exit")
	case m.Method == "shutdown":
		s.state = stopped
		return false, s.answer(m.ID, nil)
	}
	handle := requests[m.Method]
	if handle == nil {
		return false, s.refuse(m.ID, codeUnknownMethod, "unknown method "+m.Method)
	}
	result, err := handle(s, m.Params)
	var f *fault
	if errors.As(err, &f) {
		return false, s.refuse(m.ID, f.Code, f.Message)
	}
	return false, s.answer(m.ID, result)
}

// notified takes a notification.
func (s *server) notified(m *message) (exit bool, err error) {
	if m.Method == "exit" {
		if s.state != stopped {
			return true, ErrNoShutdown
		}
		return true, nil
	}
	if s.state != running {
		return false, nil
	}
	switch m.Method {
	case "textDocument/didOpen":
		var p openParams
		if json.Unmarshal(m.Params, &p) == nil {
			s.set(p.TextDocument.URI, p.TextDocument.Text)
		}
	case "textDocument/didChange":
		s.changed(m.Params)
	case "textDocument/didClose":
		var p placeParams
		if json.Unmarshal(m.Params, &p) == nil {
			s.close(p.TextDocument.URI)
		}
	case "textDocument/didSave", "workspace/didChangeWatchedFiles":
		s.touch()
	}
	return false, nil
}

// requests are the methods that the server answers.
var requests = map[string]func(*server, json.RawMessage) (any, error){
	"textDocument/completion":        at((*server).complete),
	"textDocument/hover":             at((*server).hover),
	"textDocument/definition":        at((*server).definition),
	"textDocument/references":        at((*server).references),
	"textDocument/documentHighlight": at((*server).highlight),
	"textDocument/prepareRename":     at((*server).prepareRename),
	"textDocument/rename":            at((*server).rename),
	"textDocument/documentSymbol":    at((*server).outline),
	"textDocument/formatting":        at((*server).format),
	"textDocument/codeAction":        (*server).actions,
}

// at makes a method of a request about a place in an open document.
func at(handle func(*server, *document, *placeParams) (any, error)) func(*server, json.RawMessage) (any, error) {
	return func(s *server, raw json.RawMessage) (any, error) {
		var p placeParams
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, &fault{codeInvalidParams, err.Error()}
		}
		d := s.docs[fileName(p.TextDocument.URI)]
		if d == nil {
			return nil, &fault{codeInvalidParams, "the document is not open"}
		}
		return handle(s, d, &p)
	}
}

func (s *server) initialize(raw json.RawMessage) {
	var p initializeParams
	// What cannot be read is missing: a session without folders works.
	_ = json.Unmarshal(raw, &p)
	for _, f := range p.WorkspaceFolders {
		s.folders = append(s.folders, fileName(f.URI))
	}
	if len(s.folders) == 0 && p.RootURI != "" {
		s.folders = append(s.folders, fileName(p.RootURI))
	}
	s.state = running
}

func (s *server) answer(id json.RawMessage, result any) error {
	return s.conn.write(response{"2.0", id, result})
}

func (s *server) refuse(id json.RawMessage, code int, why string) error {
	if id == nil {
		id = json.RawMessage("null")
	}
	return s.conn.write(failure{"2.0", id, &fault{code, why}})
}

// touch says that texts have changed: what was derived from them is stale.
func (s *server) touch() {
	s.generation++
	s.dirty = true
	s.projects = nil
}
