package main_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/fetch"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// browser is a Chromium that looks at the statistics of a running Loadstar.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string

	mu      sync.Mutex
	asked   int      // for a password
	foreign []string // requests to others than base
	errors  []string // what the console shows
}

// openBrowser starts Chromium, which signs in with a wrong password at first.
func openBrowser(t *testing.T, base string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("SKIPPED: no Chromium to look at the page with; apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 5*time.Minute)
	t.Cleanup(cancel)
	b := &browser{t: t, ctx: ctx, base: base}
	b.do(chromedp.EmulateViewport(1440, 900)) // starts it
	if err := chromedp.Listen(ctx, b.hear); err != nil {
		t.Fatal(err)
	}
	yes := true
	command(b, fetch.Enable, fetch.EnableParams{HandleAuthRequests: &yes})
	command(b, network.Enable, network.EnableParams{})
	command(b, cdplog.Enable, cdp.Empty{})
	return b
}

// hear takes what the browser tells; it must not wait for the browser.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *fetch.EventRequestPaused:
		go func() {
			_, _ = chromedp.Call(b.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: e.RequestID})
		}()
	case *fetch.EventAuthRequired:
		password := statsPassword
		if b.asked++; b.asked == 1 {
			password = "wrong"
		}
		answer := fetch.ContinueWithAuthParams{RequestID: e.RequestID, AuthChallengeResponse: &fetch.AuthChallengeResponse{
			Response: fetch.AuthChallengeResponseResponseProvideCredentials, Username: "admin", Password: password}}
		go func() { _, _ = chromedp.Call(b.ctx, fetch.ContinueWithAuth, answer) }()
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") && !strings.HasPrefix(e.Request.URL, b.base) {
			b.foreign = append(b.foreign, e.Request.URL)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && !strings.Contains(e.Entry.Text, "401") {
			b.errors = append(b.errors, e.Entry.Text)
		}
	}
}

// do runs actions one after the other.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	for _, a := range actions {
		if _, err := chromedp.Run(b.ctx, a); err != nil {
			b.t.Fatal(err)
		}
	}
}

func command[P, R any](b *browser, c cdp.Command[P, R], params P) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, c, params); err != nil {
		b.t.Fatal(err)
	}
}

// eval evaluates an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return out
}

func (b *browser) click(selector string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(selector)))
}

func (b *browser) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("#list")))
}

// until waits for an expression to be true.
func (b *browser) until(what, expression string) {
	b.t.Helper()
	if !rig.Until(e2e.Patience, func() bool {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		return err == nil && ok // while a page is being replaced there is an error
	}) {
		text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
		b.t.Fatalf("%s: the page shows (%v)\n%s", what, err, text)
	}
}

// shot keeps a picture of the page, for people: in the directory that SCREENS
// names, or in .bench/screens.
func (b *browser) shot(name string) {
	b.t.Helper()
	dir := os.Getenv("SCREENS")
	if dir == "" {
		dir = "../../.bench/screens"
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Fatal(err)
	}
	if os.MkdirAll(dir, 0o755) != nil {
		dir = b.t.TempDir()
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// rowOf is an expression for the row of a server.
func rowOf(server string) string {
	return fmt.Sprintf("[...document.querySelectorAll('tbody tr')].find(r => r.cells[0].innerText.trim().startsWith(%q))", server)
}

// watched starts two servers that say their names behind a statistics page.
func watched(t *testing.T) (in *e2e.Instance, port int, answeredBy func(n int) map[string]int) {
	t.Helper()
	var servers [2]*e2e.Origin
	for i, name := range []string{"one", "two"} {
		servers[i] = e2e.NewOrigin(t, func(c net.Conn, _ *e2e.Message) bool {
			_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%s", name)
			return err == nil
		})
	}
	port = e2e.Ports(t, 1)[0]
	in = e2e.Run(t, fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	log off
	@here client 127.0.0.0/8
	stats /lb-stats auth admin %s admin @here
	proxy web
}
pool web {
	health http GET / interval 1s
	server one 127.0.0.1:%d
	server two 127.0.0.1:%d
	server three 127.0.0.1:%d disabled
}
`, port, statsHash, servers[0].Port, servers[1].Port, servers[1].Port), port)
	return in, port, func(n int) map[string]int {
		got := map[string]int{}
		for range n {
			c := e2e.Dial(t, port)
			c.Send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
			got[c.Answer("GET").Body]++
			c.Close()
		}
		return got
	}
}

func TestStatsInBrowser(t *testing.T) {
	t.Parallel()
	in, port, answeredBy := watched(t)
	page := fmt.Sprintf("http://127.0.0.1:%d", port)
	b := openBrowser(t, page)
	b.open(page + "/lb-stats")
	b.mu.Lock()
	if b.asked != 2 {
		t.Errorf("it asked %d times for a password, of which the first was wrong", b.asked)
	}
	b.mu.Unlock()

	// What happens is seen without loading the page again.
	eval[bool](b, "window.same = true")
	b.until("it is live", "document.getElementById('live').innerText == 'live'")
	if got := answeredBy(40); got["one"] != 20 || got["two"] != 20 {
		t.Errorf("at first: %v", got)
	}
	b.until("40 requests are seen", "window.same && [...document.querySelectorAll('tr.total')].some(r => /40 2xx/.test(r.innerText))")

	// A box that is ticked stays so while rows change beside it; drained is drained.
	eval[any](b, rowOf("one")+".querySelector('input').click()")
	answeredBy(10)
	b.until("50 requests are seen", "window.same && [...document.querySelectorAll('tr.total')].some(r => /50 2xx/.test(r.innerText))")
	b.click("button[value=drain]")
	b.until("it is drained", "document.querySelector('[role=alert]') && document.querySelector('[role=alert]').innerText == 'One server was drained.'")
	b.until("the row says so", "/DRAIN/.test("+rowOf("one")+".innerText)")
	if got := answeredBy(20); got["two"] != 20 {
		t.Errorf("with one drained: %v", got)
	}
	b.shot("stats-light")

	// A reload neither ends the page nor what was ordered.
	in.Reload()
	b.until("the new configuration is shown", "/#2/.test(document.getElementById('tiles').innerText)")
	b.until("it is live again", "document.getElementById('live').innerText == 'live'")
	if !eval[bool](b, "/DRAIN/.test("+rowOf("one")+".innerText)") {
		t.Error("the reload undid the drain")
	}

	b.accessible()
	light := eval[string](b, "getComputedStyle(document.body).backgroundColor")
	command(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}})
	if dark := eval[string](b, "getComputedStyle(document.body).backgroundColor"); dark == light {
		t.Errorf("%s by day and by night", dark)
	}
	b.shot("stats-dark")
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > 390 {
		t.Errorf("on a phone the page is %d pixels wide", wide)
	}
	b.shot("stats-phone")
	b.withoutScripts(page, answeredBy)

	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.foreign) > 0 || len(b.errors) > 0 {
		t.Errorf("requests elsewhere: %v; errors: %v", b.foreign, b.errors)
	}
}

// withoutScripts does with links and forms what was done before.
func (b *browser) withoutScripts(page string, answeredBy func(int) map[string]int) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(1440, 900))
	command(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.open(page + "/lb-stats")
	if eval[string](b, "document.getElementById('live').innerText") != "not live" {
		b.t.Error("scripts were to be off")
	}
	b.do(chromedp.SetValue(chromedp.CSS("input[type=search]"), "two"))
	b.click("form.f button")
	b.until("the filter works", "/q=two/.test(location.search) && document.querySelectorAll('tbody input').length == 1")
	b.open(page + "/lb-stats")
	eval[any](b, rowOf("one")+".querySelector('input').checked = true")
	b.click("button[value=ready]")
	b.until("it is ready", "document.querySelector('[role=alert]') && document.querySelector('[role=alert]').innerText == 'One server was made ready.'")
	if got := answeredBy(20); got["one"] != 10 {
		b.t.Errorf("made ready again: %v", got)
	}
	b.click("thead a")
	b.until("sorting works", "/sort=name/.test(location.search)")
}

// accessible looks for what readers without eyes need.
func (b *browser) accessible() {
	b.t.Helper()
	for what, expression := range map[string]string{
		"tables without a caption":         "[...document.querySelectorAll('table')].filter(t => !t.caption || !t.caption.textContent)",
		"heads without a scope":            "[...document.querySelectorAll('th')].filter(t => !t.scope)",
		"fields without a label":           "[...document.querySelectorAll('input:not([type=hidden]),select')].filter(i => !i.labels.length)",
		"drawings without words":           "[...document.querySelectorAll('svg')].filter(s => !s.getAttribute('aria-label'))",
		"states without a word":            "[...document.querySelectorAll('.s')].filter(s => !/[a-zA-Z]/.test(s.textContent))",
		"ids that stand twice":             "[...document.querySelectorAll('[id]')].filter(e => document.querySelectorAll('#' + e.id).length > 1)",
		"sections that nothing names":      "[...document.querySelectorAll('section')].filter(s => !document.getElementById(s.getAttribute('aria-labelledby')))",
		"anything with a style of its own": "[...document.querySelectorAll('[style]')]",
	} {
		if n := eval[int](b, "("+expression+").length"); n > 0 {
			b.t.Errorf("%d %s", n, what)
		}
	}
	if lang := eval[string](b, "document.documentElement.lang"); lang != "en" {
		b.t.Errorf("the page's language is %q", lang)
	}
}
