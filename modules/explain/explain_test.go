package explain_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener/flow"
	wire "github.com/loadstar-lb/loadstar/listener/wire/http1"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/explain"
	"github.com/loadstar-lb/loadstar/modules/graph"
	"github.com/loadstar-lb/loadstar/modules/live"
)

func load(t testing.TB, text string) (*config.Config, *diag.Sources) {
	t.Helper()
	cfg, sources, found := dsl.Load("Lbfile", []byte(text), dsl.Options{Vocabulary: modules.Standard().Vocabulary()})
	if found.HasErrors() {
		t.Fatal(found)
	}
	return cfg, sources
}

func explainer(t testing.TB, text string) *explain.Explainer {
	t.Helper()
	e, found := explain.New(load(t, text))
	if e == nil {
		t.Fatal(found)
	}
	t.Cleanup(e.Close)
	return e
}

// randomSite makes a site whose every route answers with a status of its own.
func randomSite(rng *rand.Rand) string {
	var b strings.Builder
	b.WriteString("http://a.example.com:8080, http://*.b.example.com:8080 {\n")
	conds := []string{"path /a/*", "path *.png", "path /a/b /c*", "method GET", "not method POST", "query x=1", "header X-Y ~^z",
		"client 10.0.0.0/8", "host *.b.example.com", "path /a* and not path *b*", "(path /c* or method PUT) and not client 10.1.0.0/16"}
	for i := range 14 {
		fmt.Fprintf(&b, "\t@m%d %s\n", i, conds[rng.IntN(len(conds))])
	}
	depth := 0
	for i := range 14 {
		tab := strings.Repeat("\t", 1+depth)
		switch rng.IntN(8) {
		case 0:
			fmt.Fprintf(&b, "%srewrite @m%d add_prefix /a\n", tab, i)
		case 1:
			if depth == 0 {
				fmt.Fprintf(&b, "%shandle @m%d {\n", tab, i)
				depth++
				continue
			}
			fmt.Fprintf(&b, "%sheader @m%d request X-Y zed\n", tab, i)
		case 2:
			fmt.Fprintf(&b, "%sdeny @m%d %d\n", tab, i, 420+i)
		default:
			fmt.Fprintf(&b, "%srespond @m%d %d\n", tab, i, 220+i)
		}
		if depth > 0 && rng.IntN(3) == 0 {
			depth--
			b.WriteString("\t}\n")
		}
	}
	b.WriteString(strings.Repeat("\t}\n", depth) + "}\n")
	return b.String()
}

// TestAgrees compares with what the graph itself does to the same request.
func TestAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 150 {
		text := randomSite(rng)
		cfg, sources := load(t, text)
		e, found := explain.New(cfg, sources)
		if e == nil {
			t.Fatal(found, text)
		}
		tx := live.Begin()
		g, _ := graph.Build(cfg, graph.Deps{Set: modules.Standard(), Shared: graph.NewShared(), Tx: tx, Dry: true, Log: slog.New(slog.DiscardHandler)})
		for range 30 {
			q := randomQuestion(rng)
			a, err := e.Ask(q)
			if err != nil {
				t.Fatal(err)
			}
			if status := serve(t, g.Listeners[0], q); a.Status != status {
				t.Fatalf("%+v: explained as %d, served as %d\n%s", q, a.Status, status, text)
			}
		}
		e.Close()
		g.Close()
		tx.Rollback()
	}
}

func randomQuestion(rng *rand.Rand) explain.Question {
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	q := explain.Question{
		Method: pick("GET", "POST", "PUT"),
		URL:    "http://" + pick("a.example.com", "x.b.example.com", "nobody.example.com") + ":8080" + pick("/", "/a/b", "/a/x.png", "/c", "/cb.png", "/a/%62", "/z/../a/b") + pick("", "?x=1", "?x=2"),
		From:   netip.MustParseAddr(pick("10.0.0.1", "10.1.2.3", "192.0.2.1")),
	}
	if rng.IntN(3) == 0 {
		q.Header = [][2]string{{"X-Y", pick("z1", "q")}}
	}
	return q
}

// serve has the listener answer, and gives the status.
func serve(t *testing.T, l *graph.Listener, q explain.Question) int {
	t.Helper()
	host, rest, _ := strings.Cut(strings.TrimPrefix(q.URL, "http://"), "/")
	head := fmt.Sprintf("%s /%s HTTP/1.1\r\nHost: %s\r\n", q.Method, rest, host)
	for _, h := range q.Header {
		head += h[0] + ": " + h[1] + "\r\n"
	}
	client := netip.AddrPortFrom(q.From, 1)
	x, out := &flow.Exchange{}, &answer{}
	out.x = x
	x.Begin(&flow.Conn{Client: client, Peer: client, Local: netip.MustParseAddrPort("127.0.0.1:8080")}, out)
	if err := wire.ParseRequest([]byte(head+"\r\n"), 100, &x.Req, &wire.Head{}); err != nil {
		t.Fatal(err)
	}
	l.ServeExchange(x)
	x.End()
	return out.status
}

type answer struct {
	x      *flow.Exchange
	status int
}

func (a *answer) Inform(int, *flow.Header) error        { return nil }
func (a *answer) Start() error                          { a.status = a.x.Resp.Status; return nil }
func (a *answer) Write(p []byte) (int, error)           { return len(p), nil }
func (a *answer) Relay(io.Reader, int64) (int64, error) { return 0, errors.New("nothing to relay") }
func (a *answer) Flush() error                          { return nil }
func (a *answer) Finish() error                         { return nil }
func (a *answer) Abort(error)                           {}
func (a *answer) Tunnel(func(flow.Stream, []byte))      {}

func TestChances(t *testing.T) {
	const site = "http://:8080 {\n\tproxy web\n}\npool web {\n\t%s\n\tserver a 10.0.0.1:80 weight 3%s\n\tserver b 10.0.0.2:80%s\n\tserver c 10.0.0.3:80 backup\n}\n"
	tests := []struct {
		name, option, a, b, down string
		want                     string
	}{
		{"by weight", "balance roundrobin", "", "", "", "a=0.75 b=0.25 c=0"},
		{"first", "balance first", " maxconn 5", "", "", "a=1 b=0 c=0"},
		{"one is down", "balance leastconn", "", "", "a", "a=0 b=1 c=0"},
		{"backup", "balance random 2", "", " disabled", "a", "a=0 b=0 c=1"},
		{"hashed", "balance header X-Key", "", "", "", "one"},
	}
	for _, tt := range tests {
		e := explainer(t, fmt.Sprintf(site, tt.option, tt.a, tt.b))
		if tt.down != "" {
			if _, err := e.Down("web/" + tt.down); err != nil {
				t.Fatal(err)
			}
		}
		a, err := e.Ask(explain.Question{URL: "http://localhost:8080/", Header: [][2]string{{"X-Key", "k"}}})
		if err != nil || a.Pool == nil {
			t.Fatalf("%s: %+v, %v", tt.name, a, err)
		}
		var got []string
		ones := 0
		for _, s := range a.Pool.Servers {
			got = append(got, fmt.Sprintf("%s=%v", s.Name, s.Chance))
			if s.Chance == 1 {
				ones++
			}
		}
		if text := strings.Join(got, " "); text != tt.want && (tt.want != "one" || ones != 1) {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}

// TestAssume takes over what the running process says.
func TestAssume(t *testing.T) {
	e := explainer(t, "http://:8080 {\n\tproxy web\n}\npool web {\n\tserver a 10.0.0.1:80\n\tserver b 10.0.0.2:80\n\tserver c 10.0.0.3:80\n}\n")
	n := e.Assume([]explain.State{
		{Pool: "web", Name: "a", Address: "10.0.0.1:80", Up: false, Share: 16, Why: "its probes fail"},
		{Pool: "web", Name: "b", Address: "10.0.0.2:80", Up: true, Usable: true, Share: 12, Weight: 1},
		{Pool: "web", Name: "c", Address: "10.0.0.3:80", Up: true, Usable: true, Share: 4, Weight: 1},
		{Pool: "web", Name: "c", Address: "10.0.0.9:80", Up: false},
		{Pool: "gone", Name: "a"},
	})
	a, err := e.Ask(explain.Question{URL: "http://localhost:8080/"})
	if err != nil || n != 3 {
		t.Fatal(n, err)
	}
	s := a.Pool.Servers
	if s[0].Chance != 0 || s[0].Why != "down: its probes fail" || s[1].Chance != 0.75 || s[2].Chance != 0.25 {
		t.Errorf("%+v", s)
	}
}

// TestTarpit makes sure that an explanation does not wait as the client would.
func TestTarpit(t *testing.T) {
	e := explainer(t, "http://:8080 {\n\ttarpit 1h 429\n}\n")
	a, err := e.Ask(explain.Question{URL: "http://localhost:8080/"})
	if err != nil || a.Status != 429 || a.Reason != "after 1h0m0s" {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestSVG makes sure that the picture is well-formed, whatever the names are, and
// that boxes of one column do not cover each other.
func TestSVG(t *testing.T) {
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "http://site%d.example.com:8080 {\n\trespond /<&\">%d \"<b>\"\n\tproxy pool%d\n}\npool pool%d {\n\tserver a 10.0.0.%d:80\n}\n", i, i, i%9, i, i+1)
	}
	cfg, sources, found := dsl.Load("Lbfile", []byte(text.String()), dsl.Options{Vocabulary: modules.Standard().Vocabulary()})
	if found.HasErrors() {
		t.Fatal(found)
	}
	e, _ := explain.New(cfg, sources)
	defer e.Close()
	var out bytes.Buffer
	if err := e.Outline().SVG(&out); err != nil {
		t.Fatal(err)
	}
	type rect struct{ x, y, h float64 }
	ends := map[float64]float64{}
	boxes := 0
	for d := xml.NewDecoder(&out); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		el, ok := token.(xml.StartElement)
		if !ok || el.Name.Local != "rect" {
			continue
		}
		var r rect
		for _, a := range el.Attr {
			switch a.Name.Local {
			case "x":
				_, _ = fmt.Sscan(a.Value, &r.x)
			case "y":
				_, _ = fmt.Sscan(a.Value, &r.y)
			case "height":
				_, _ = fmt.Sscan(a.Value, &r.h)
			}
		}
		if r.x == 0 {
			continue // the background
		}
		boxes++
		if end, ok := ends[r.x]; ok && r.y < end {
			t.Errorf("a box at %v,%v begins above %v, where the one before ends", r.x, r.y, end)
		}
		ends[r.x] = r.y + r.h
	}
	if boxes != 101 || len(ends) != 3 {
		t.Errorf("%d boxes in %d columns", boxes, len(ends))
	}
}
