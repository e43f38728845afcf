package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/overlay"
)

// Why an order is not carried out, beside what is wrong with it.
var (
	// ErrOutdated: If-Match names another state than the one in force.
	ErrOutdated = errors.New("something was changed meanwhile: the state is not the one that If-Match names")
	// ErrPending: a configuration waits to be confirmed.
	ErrPending = errors.New("a configuration waits to be confirmed: confirm it or roll it back first")
)

// Problem is the answer to what is refused.
type Problem struct {
	Message     string    `json:"error"`
	Help        []string  `json:"help,omitempty"`
	Diagnostics diag.List `json:"diagnostics,omitempty"`
	code        int
}

// Error gives the message with its help.
func (p *Problem) Error() string {
	if len(p.Help) == 0 {
		return p.Message
	}
	return p.Message + "; " + strings.Join(p.Help, "; ")
}

func bad(format string, args ...any) *Problem {
	return &Problem{code: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}

func missing(what, name string, names []string) *Problem {
	p := &Problem{code: http.StatusNotFound, Message: fmt.Sprintf("there is no %s %q", what, clip(name))}
	if near := diag.Nearest(name, names); near != "" {
		p.Help = []string{fmt.Sprintf("did you mean %q?", near)}
	}
	return p
}

// problemOf gives an error its status.
func problemOf(err error) *Problem {
	var p *Problem
	var refusal *overlay.Refusal
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		code := map[overlay.Reason]int{overlay.NotFound: http.StatusNotFound, overlay.Conflict: http.StatusConflict,
			overlay.Outdated: http.StatusPreconditionFailed}[refusal.Reason]
		if code == 0 {
			code = http.StatusUnprocessableEntity
		}
		return &Problem{code: code, Message: refusal.Message, Help: refusal.Help, Diagnostics: refusal.Diagnostics}
	case errors.As(err, &large):
		return &Problem{code: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
	case errors.Is(err, ErrOutdated):
		return &Problem{code: http.StatusPreconditionFailed, Message: err.Error(), Help: []string{"read the state again, and its ETag"}}
	case errors.Is(err, ErrPending), errors.Is(err, history.ErrNothingPending):
		return &Problem{code: http.StatusConflict, Message: err.Error()}
	}
	return &Problem{code: http.StatusInternalServerError, Message: err.Error()}
}

func writeProblem(w http.ResponseWriter, p *Problem) { writeJSON(w, p.code, p) }

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v)
}

// bodyName is what diagnostics call the request's body.
const bodyName = "request body"

// decode reads a JSON body into v, strictly: a field that does not exist, or text
// behind the value, is refused with its place.
func decode(body io.Reader, v any) error {
	src, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return decodeBytes(src, v)
}

func decodeBytes(src []byte, v any) error {
	d := json.NewDecoder(strings.NewReader(string(src)))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	at := d.InputOffset()
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err, at = errors.New("there is more behind the end of the value"), d.InputOffset()
		}
	}
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	message, help := strings.TrimPrefix(err.Error(), "json: "), []string(nil)
	switch {
	case errors.As(err, &syntax):
		at = max(syntax.Offset-1, 0)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		message, at = "the value ends too early", int64(len(src))
	case errors.As(err, &kind):
		at = max(kind.Offset-1, 0)
		message = fmt.Sprintf("%s takes a value of type %s, not a %s", kind.Field, plainType(kind.Type), kind.Value)
	case strings.HasPrefix(message, "unknown field "):
		name := strings.Trim(strings.TrimPrefix(message, "unknown field "), `"`)
		message = fmt.Sprintf("there is no field %q", clip(name))
		if i := bytes.Index(src, []byte(`"`+name+`"`)); i >= 0 {
			at = int64(i)
		}
		if near := diag.Nearest(name, fieldsOf(reflect.TypeOf(v))); near != "" {
			help = []string{fmt.Sprintf("did you mean %q?", near)}
		}
	}
	var list diag.List
	list.Add(placeIn(src, int(at)), "bad-json", "%s", message).Help = help
	return &Problem{code: http.StatusBadRequest, Message: "the body is not what is expected: " + list[0].Range.String() + ": " + message,
		Help: help, Diagnostics: list}
}

// plainType names a type as JSON does.
func plainType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "integer"
	case reflect.Bool:
		return "boolean"
	case reflect.Struct, reflect.Map:
		return "object"
	case reflect.Slice:
		return "array"
	}
	return "string"
}

// placeIn gives line and column of an offset.
func placeIn(src []byte, at int) diag.Range {
	at = min(max(at, 0), len(src))
	before := string(src[:at])
	p := diag.Pos{Offset: at, Line: strings.Count(before, "\n") + 1}
	p.Column = len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
	end := p
	end.Offset, end.Column = at+1, p.Column+1
	return diag.Range{File: bodyName, Start: p, End: end}
}

// clip shortens what a client wrote, for messages.
func clip(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// printable keeps what a client wrote from being more than text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return '?'
		}
		return r
	}, s)
}
