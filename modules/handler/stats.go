package handler

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/auth"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/stats"
)

// Stats is `stats`: the statistics page.
var Stats = Module{
	Spec: spec.Word{
		Name: "stats", In: spec.InHTTPSite, Matcher: true, Repeat: true,
		Doc: "Answers a path with the statistics page",
		Long: "One page that needs no network and no JavaScript shows sites, pools and servers, and keeps itself up to date where scripts run. " +
			"`PATH;csv` and `PATH;json` give the same with the columns of HAProxy's statistics, so that what reads those reads these; columns of our own follow. " +
			"`realm` and `auth` ask for a name and a password; hashes are made by `loadstar hash-password`. " +
			"Whoever `admin MATCHER` is true of, and has signed in, may drain servers, put them into maintenance, make them ready, weigh them and shut their sessions. " +
			"What is changed so survives reloads. Everything but PATH goes on to the directives below.",
		Example: "stats /lb-stats realm Staff auth admin $2y$05$yPoVPgsvXQTRAiIFcUUmJuIWFALjVGKp8l1kSAkYVXnrLFRQcHEm2 admin @office",
		Args:    []spec.Arg{{Name: "PATH", Kind: spec.String, Doc: "where the page is, such as /lb-stats"}},
		Options: []spec.Word{
			{Name: "realm", Default: `"Loadstar Statistics"`, Doc: "what the browser tells its user that he is asked for",
				Args: []spec.Arg{{Name: "TEXT", Kind: spec.String, Doc: "a few words"}}},
			{Name: "auth", Repeat: true, Doc: "who may look; may be repeated", Args: userArgs()},
			{Name: "admin", Matcher: true, Doc: "from where servers may be changed, such as @office; without a matcher from everywhere"},
			{Name: "refresh", Default: "10s", Doc: "after how long a browser without JavaScript asks again",
				Args: []spec.Arg{{Name: "INTERVAL", Kind: spec.Duration, Min: int64(time.Second), Max: int64(24 * time.Hour), Doc: "1s to 24h"}}},
		},
	},
	New: newStats,
}

// statsPage is one `stats` directive.
type statsPage struct {
	path    string
	self    string      // path relative to itself
	basic   *auth.Basic // nil: everybody may look
	admin   bool
	who     matcher.Matcher // for whom admin is true; nil: for all
	refresh time.Duration
	census  census.Source
	control overlay.Control // nil where nothing runs
	live    *atomic.Int64   // pages that are open
}

// tokens are the process's, so that a page that is open outlives a reload.
var tokens = stats.NewTokens()

// openPages counts those that are kept up to date, in the whole process.
var openPages atomic.Int64

func newStats(n *config.Node, env *Env) (flow.Handler, error) {
	h := &statsPage{
		path: n.Text(0), refresh: n.OptionDuration("refresh"), census: env.Census, control: env.Control, live: &openPages,
	}
	if err := checkStatsPath(h.path); err != nil {
		return nil, err
	}
	h.self = "./" + h.path[strings.LastIndexByte(h.path, '/')+1:]
	list, err := users(n, "auth")
	if err != nil {
		return nil, err
	}
	if list != nil {
		h.basic = auth.NewBasic(n.OptionText("realm"), list)
	}
	if o := n.Option("admin"); o != nil {
		if h.basic == nil && len(config.Find(env.Site.Body, "basic_auth")) == 0 {
			return nil, errors.New("`admin` needs users: write auth USER HASH, for an order must have somebody who gave it")
		}
		h.admin = true
		if h.who, err = env.Match(o.When); err != nil {
			return nil, err
		}
	}
	return h, nil
}

func checkStatsPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("the page's path begins with a slash: %q does not", path)
	case strings.ContainsAny(path, "*?;#\\%~\"'<> "):
		return fmt.Errorf("%q is one path, without patterns and options; ;csv and ;json come by themselves", path)
	case len(path) > 1 && strings.HasSuffix(path, "/"), strings.Contains(path, "//"):
		return fmt.Errorf("the path %q has an empty part", path)
	}
	return nil
}

var errStatsMethod = &flow.Error{Side: flow.SideProxy, Phase: flow.PhaseRequest, Status: 405, Cause: "statistics: method not allowed"}

// Handle answers the page's path.
func (h *statsPage) Handle(x *flow.Exchange) (bool, error) {
	if !bytes.HasPrefix(x.Req.Path, []byte(h.path)) {
		return false, nil
	}
	options := x.Req.Path[len(h.path):]
	if len(options) > 0 && options[0] != ';' {
		return false, nil
	}
	if h.basic != nil {
		if err := h.basic.Check(x); err != nil {
			return false, err
		}
	}
	x.Record.Terminate('L', 'R')
	switch {
	case x.Req.Method == "POST":
		return true, h.post(x)
	case x.Req.Method != "GET" && x.Req.Method != "HEAD":
		x.AddEdit(allow)
		return false, errStatsMethod
	case has(options, "csv"):
		return true, h.table(x, stats.CSV, (*stats.Snapshot).WriteCSV)
	case has(options, "json"):
		return true, h.table(x, "application/json", (*stats.Snapshot).WriteJSON)
	case has(options, "live"):
		return h.follow(x)
	}
	return true, h.page(x, 200, h.note(x))
}

// has looks for an option; as with HAProxy there may be several, and those that
// nobody knows do no harm.
func has(options []byte, name string) bool {
	for o := range bytes.SplitSeq(options, []byte(";")) {
		if string(o) == name {
			return true
		}
	}
	return false
}

// may tells whether the client may change servers; who that is stands in the
// record.
func (h *statsPage) may(x *flow.Exchange) bool {
	return h.admin && h.control != nil && len(x.Record.User) > 0 && (h.who == nil || h.who.Match(x))
}

// scope is the page that a token is for, under the name by which it was asked for:
// another name for this machine is another site to a browser.
func (h *statsPage) scope(x *flow.Exchange) string {
	return strings.ToLower(string(x.Req.Authority)) + " " + x.Record.Site + " " + h.path
}

// show makes the page as it is shown to the client.
func (h *statsPage) show(x *flow.Exchange) *stats.Page {
	p := &stats.Page{View: stats.ParseView(string(x.Req.Query)), Self: h.self, User: string(x.Record.User), Refresh: h.refresh}
	if h.may(x) {
		p.Token = tokens.Make(p.User, h.scope(x), time.Now())
	}
	return p
}

// note tells what became of the action that led here. It takes numbers and words
// that it knows only: nobody is to put words of his into our mouth.
func (h *statsPage) note(x *flow.Exchange) string {
	action, n := "", 0
	for part := range bytes.SplitSeq(x.Req.Query, []byte("&")) {
		if v, ok := bytes.CutPrefix(part, []byte("did=")); ok {
			action = string(v)
		} else if v, ok := bytes.CutPrefix(part, []byte("n=")); ok {
			n, _ = strconv.Atoi(string(v))
		}
	}
	return stats.Done(action, n)
}

// page answers with the page, and with what there is to say above it.
func (h *statsPage) page(x *flow.Exchange, status int, note string) error {
	p := h.show(x)
	p.Note, p.Bad = note, status >= 400
	secure(x)
	x.Resp.Header.Set("Content-Security-Policy", stats.Policy)
	return x.Respond(status, "text/html; charset=utf-8", stats.Of(h.census.Census()).AppendHTML(nil, p))
}

// secure sets what all answers have. With a stricter Referrer-Policy browsers would
// not say where a form comes from.
func secure(x *flow.Exchange) {
	x.Resp.Header.Set("Cache-Control", "no-store")
	x.Resp.Header.Set("X-Content-Type-Options", "nosniff")
	x.Resp.Header.Set("Referrer-Policy", "same-origin")
	x.Resp.Header.Set("X-Frame-Options", "DENY")
	x.Resp.Header.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// table answers with CSV or JSON, a piece at a time.
func (h *statsPage) table(x *flow.Exchange, kind string, write func(*stats.Snapshot, io.Writer) error) error {
	secure(x)
	if err := startAnswer(x, kind); err != nil || x.Req.Method == "HEAD" {
		return errors.Join(err, x.Finish())
	}
	if err := write(stats.Of(h.census.Census()), x); err != nil {
		return err
	}
	return x.Finish()
}

// startAnswer starts an answer of unknown length.
func startAnswer(x *flow.Exchange, kind string) error {
	x.Resp.Status, x.Resp.Reason, x.Resp.ContentLength = 200, nil, -1
	x.Resp.Header.Set("Content-Type", kind)
	return x.Start()
}

type allowHeader string

// OnResponse names the methods that are allowed (RFC 9110 §15.5.6).
func (a allowHeader) OnResponse(x *flow.Exchange) { x.Resp.Header.Set("Allow", string(a)) }

var allow flow.ResponseHook = allowHeader("GET, HEAD, POST")
