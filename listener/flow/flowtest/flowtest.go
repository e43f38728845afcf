// Package flowtest holds every implementation of flow.Responder to one contract:
// the same handlers, the same client, whatever the HTTP version. (The model is
// net/http's clientserver_test.go.)
package flowtest

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Start has s serve what comes in, until the test ends. It gives a client of the
// protocol under test and the URL to ask, without a final slash. A panic of s
// must end no more than its exchange's connection.
type Start func(t *testing.T, s flow.Server) (client *http.Client, url string)

// Func is a flow.Server made of a function. Exchanges with a Fault are answered
// with its status before the function sees them.
type Func func(x *flow.Exchange)

// ServeExchange serves.
func (f Func) ServeExchange(x *flow.Exchange) {
	if x.Fault != nil {
		_ = x.Respond(x.Fault.StatusCode(), "", nil)
		return
	}
	f(x)
}

// patience bounds how long any one test waits for what must come at once.
const patience = 20 * time.Second

// Run runs the contract.
func Run(t *testing.T, start Start) { run(t, start, testAbort) }

// RunThrough runs the contract where an intermediary stands between client and s:
// what is aborted before it began is then the intermediary's 502.
func RunThrough(t *testing.T, start Start) { run(t, start, testAbortThrough) }

func run(t *testing.T, start Start, testAbort func(*testing.T, Start)) {
	for _, c := range []struct {
		name string
		f    func(*testing.T, Start)
	}{
		{"Respond", testRespond}, {"NoBody", testNoBody}, {"Echo", testEcho}, {"RequestTrailer", testRequestTrailer},
		{"UnknownLength", testUnknownLength}, {"Interim", testInterim}, {"Continue", testContinue}, {"TooLong", testTooLong},
		{"Short", testShort}, {"Abort", testAbort}, {"Flush", testFlush}, {"FullDuplex", testFullDuplex},
		{"EarlyAnswer", testEarlyAnswer}, {"Relay", testRelay}, {"Panic", testPanic}, {"Record", testRecord}, {"Many", testMany},
	} {
		t.Run(c.name, func(t *testing.T) { c.f(t, start) })
	}
}

// answer is what a client got.
type answer struct {
	*http.Response
	body []byte
	err  error // of the body
}

func fetch(t *testing.T, c *http.Client, req *http.Request) *answer {
	t.Helper()
	c.Timeout = patience
	resp, err := c.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return &answer{resp, body, err}
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func (a *answer) want(t *testing.T, status int, body string) {
	t.Helper()
	if a.StatusCode != status || string(a.body) != body || a.err != nil {
		t.Errorf("status %d, body %.60q, %v; want %d, %.60q", a.StatusCode, a.body, a.err, status, body)
	}
}
