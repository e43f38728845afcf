package stats

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "write the goldens anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; -update writes it anew\n%s", name, difference(string(got), string(want)))
	}
}

// difference gives the first lines that differ.
func difference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return "got:  " + g[i] + "\nwant: " + strings.Join(w[min(i, len(w)):min(i+1, len(w))], "")
		}
	}
	return "the end is missing"
}

func page() *Page {
	return &Page{View: View{Page: 1}, Self: "./lb-stats", Token: "TOKEN", User: "admin", Refresh: 10 * time.Second}
}

func table(t testing.TB, s *Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	// The page without its style and script, which would only be here twice.
	text := string(fixture().AppendHTML(nil, page()))
	text = strings.Replace(strings.Replace(text, style, "", 1), script, "", 1)
	golden(t, "page.html", []byte(text))
	golden(t, "table.csv", table(t, fixture()))
	few := fixture()
	few.Sites, few.Pools = few.Sites[:1], few.Pools[:1]
	few.Pools[0].Servers = few.Pools[0].Servers[1:2]
	var b bytes.Buffer
	if err := few.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.json", b.Bytes())
}

// walk visits the elements and texts of a page as a browser reads it.
func walk(t *testing.T, page []byte, visit func(n *html.Node)) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		visit(n)
	}
}

// TestHTMLIsText: whatever a name is, a browser reads it as that name.
func TestHTMLIsText(t *testing.T) {
	p := page()
	p.User, p.Note, p.View.Text, p.Self = evil, evil, evil, "./"+evil
	s := fixture()
	s.Node, s.Version = evil, evil
	s.Pools = s.Pools[1:]
	shown := &bytes.Buffer{}
	scripts := 0
	walk(t, s.AppendHTML(nil, p), func(n *html.Node) {
		switch n.Type {
		case html.TextNode:
			if n.Parent.Data != "script" && n.Parent.Data != "style" && n.Parent.Data != "noscript" {
				shown.WriteString(n.Data + "\n")
			}
		case html.ElementNode:
			if n.Data == "script" {
				scripts++
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
		}
	})
	if scripts != 1 {
		t.Errorf("%d scripts", scripts)
	}
	if n := strings.Count(shown.String(), `<script>alert(1)</script>"'&`); n < 8 {
		t.Errorf("the name is shown %d times:\n%s", n, shown)
	}
	if i := strings.IndexAny(shown.String(), "\x00\x1b\u202e"); i >= 0 {
		t.Errorf("a control character is shown: %q", shown.String()[max(0, i-20):i+1])
	}
}

func TestCSVIsOneFieldEach(t *testing.T) {
	text, ok := strings.CutPrefix(string(table(t, fixture())), "# ")
	if !ok {
		t.Fatal("no header as HAProxy's")
	}
	r := csv.NewReader(strings.NewReader(text))
	rows, err := r.ReadAll() // it wants as many fields in each
	if err != nil || len(rows) != 10 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if got := strings.Join(rows[0], ","); got != haproxyColumns+","+ownColumns+"," {
		t.Errorf("header %s", got)
	}
	for _, row := range rows[1:] {
		for i, field := range row {
			if strings.ContainsAny(field, "\x00\x1b\r\n") || field != "" && strings.ContainsAny(field[:1], "=+@\t") || len(field) > 1 && field[0] == '-' {
				t.Errorf("%s: %q", rows[0][i], field)
			}
		}
	}
	for in, want := range map[string]string{"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@x": "'@x", "\t=1": "'.=1", "a,b": `"a,b"`, `a"b`: `"a""b"`, "\r\n": "\"'..\""} {
		if got := string(appendField(nil, in)); got != want {
			t.Errorf("%q is written as %s, want %s", in, got, want)
		}
	}
}

func TestJSONIsJSON(t *testing.T) {
	var b bytes.Buffer
	if err := fixture().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	var rows [][]struct {
		ObjType string
		Field   struct {
			Pos  int
			Name string
		}
		Tags  map[string]string
		Value struct {
			Type  string
			Value any
		}
	}
	if err := json.Unmarshal(b.Bytes(), &rows); err != nil || len(rows) != 9 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, f := range row {
			if columns[f.Field.Pos] != f.Field.Name || len(f.Tags) != 3 || f.Value.Type == "" {
				t.Errorf("%+v", f)
			}
		}
	}
	if name := rows[7][0].Value.Value; name != evil {
		t.Errorf("the name %q is %q", evil, name)
	}
}

func TestView(t *testing.T) {
	s := fixture()
	names := func(query string) string {
		v := ParseView(query)
		if again := ParseView(v.Query()); again != v {
			t.Errorf("%s: %+v is written as %q, which is %+v", query, v, v.Query(), again)
		}
		var out []string
		c := s.choose(v)
		for _, p := range c.pools {
			for _, r := range p.servers {
				if r.Name == evil {
					out = append(out, "evil")
				} else {
					out = append(out, r.Name)
				}
			}
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{
		"":                        "one two three four evil",
		"q=WEB":                   "one two three four",
		"q=10.0.0.3":              "three",
		"q=nobody":                "",
		"state=bad":               "two three evil",
		"state=up":                "one four",
		"state=down":              "two evil",
		"state=out":               "three",
		"state=odd":               "one two three four evil",
		"sort=name":               "evil four one three two",
		"sort=name&dir=up":        "two three one four evil",
		"sort=status&q=web":       "two three one four",
		"sort=rate&dir=up&q=web":  "two one three four",
		"sort=drop+table":         "one two three four evil",
		"page=99":                 "one two three four evil",
		"page=-1&q=%zz":           "one two three four evil",
		"state=up&sort=weight":    "one four",
		"sort=check&dir=up&q=web": "four one three two",
	} {
		if got := names(query); got != want {
			t.Errorf("%q shows %q, want %q", query, got, want)
		}
	}
}

// TestPages: every server stands on one page, and no page is much longer than others.
func TestPages(t *testing.T) {
	s := crowd(1234)
	seen := map[string]int{}
	pages := s.choose(View{Page: 1}).pages
	for i := 1; i <= pages; i++ {
		c := s.choose(View{Page: i})
		n := 0
		for _, p := range c.pools {
			n += len(p.servers)
			for _, r := range p.servers {
				seen[r.Group+"/"+r.Name]++
			}
		}
		if n > PerPage || c.page != i || c.servers != 1234 {
			t.Errorf("page %d (%d) has %d servers of %d", i, c.page, n, c.servers)
		}
	}
	if len(seen) != 1234 {
		t.Errorf("%d servers on %d pages", len(seen), pages)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s stands on %d pages", name, n)
		}
	}
}

func TestTokens(t *testing.T) {
	a, b := NewTokens(), NewTokens()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	token := a.Make("alice", "site /lb-stats", now)
	for _, c := range []struct {
		name        string
		by          *Tokens
		token       string
		user, where string
		after       time.Duration
		good        bool
	}{
		{"good", a, token, "alice", "site /lb-stats", time.Hour, true},
		{"good at last", a, token, "alice", "site /lb-stats", tokenLife - time.Second, true},
		{"too old", a, token, "alice", "site /lb-stats", tokenLife, false},
		{"another user", a, token, "bob", "site /lb-stats", 0, false},
		{"another page", a, token, "alice", "site /other", 0, false},
		{"a letter over", a, token, "alices", "ite /lb-stats", 0, false},
		{"another process", b, token, "alice", "site /lb-stats", 0, false},
		{"none", a, "", "alice", "site /lb-stats", 0, false},
		{"cut", a, token[:20], "alice", "site /lb-stats", 0, false},
		{"longer", a, token + "AAAA", "alice", "site /lb-stats", 0, false},
		{"a later end", a, "A" + "B" + token[2:], "alice", "site /lb-stats", 0, false},
		{"no base64", a, "!!" + token, "alice", "site /lb-stats", 0, false},
	} {
		if got := c.by.Good(c.token, c.user, c.where, now.Add(c.after)); got != c.good {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// TestLive: a page that takes the events in shows what a page loaded anew shows.
func TestLive(t *testing.T) {
	s, p := fixture(), page()
	l := NewLive(p)
	kind, first := parse(t, l.Append(nil, s))
	if kind != "page" || first.(string) != string(s.AppendList(nil, p)) {
		t.Fatalf("at first: %s", kind)
	}
	if got := string(l.Append(nil, s)); got != ": nothing new\n\n" {
		t.Errorf("nothing has changed: %s", got)
	}
	two := &s.Pools[0].Servers[1]
	two.Current, two.State, two.Status = 99, Up, "UP"
	kind, rows := parse(t, l.Append(nil, s))
	changed, ok := rows.(map[string]any)
	if kind != "rows" || !ok || len(changed) != 2 || changed["tiles"] == nil || changed[RowID(two)] != string(p.cells(nil, two)) {
		t.Errorf("one row and the tiles: %s %v", kind, rows)
	}
	s.Pools[0].Servers = s.Pools[0].Servers[:3]
	if kind, _ = parse(t, l.Append(nil, s)); kind != "page" {
		t.Errorf("a server less: %s", kind)
	}
	p.View.Sort = "rate"
	l.Append(nil, s)
	s.Pools[0].Servers[2].Rate = 1e6
	if kind, _ = parse(t, l.Append(nil, s)); kind != "page" {
		t.Errorf("another order: %s", kind)
	}
}

// parse reads one event (HTML §9.2.6).
func parse(t *testing.T, b []byte) (kind string, data any) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(string(b), "\n\n"), "\n")
	if len(lines) != 2 || json.Unmarshal([]byte(strings.TrimPrefix(lines[1], "data: ")), &data) != nil {
		t.Fatalf("no event: %.200q", b)
	}
	return strings.TrimPrefix(lines[0], "event: "), data
}

func TestParseOrder(t *testing.T) {
	form := func(pairs ...string) string {
		q := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			q.Add(pairs[i], pairs[i+1])
		}
		return q.Encode()
	}
	o, err := ParseOrder(form("action", "weight", "pool", "web", "s", "one", "s", "two", "weight", " 7 ", "token", "x"))
	if err != nil || o.Pool != "web" || !slices.Equal(o.Servers, []string{"one", "two"}) || o.Weight != "7" || o.Token != "x" {
		t.Errorf("%+v, %v", o, err)
	}
	many := []string{"action", "drain"}
	for range maxServers + 1 {
		many = append(many, "s", "x")
	}
	for text, want := range map[string]string{
		"":                              "asks for nothing",
		"%zz":                           "cannot be read",
		form("action", "add", "s", "x"): "no action",
		form("action", "drain"):         "no server was chosen",
		form(many...):                   "too many",
	} {
		if _, err := ParseOrder(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{Done("drain", 1), Done("shut", 1), Done("weight", 3)} {
		if !strings.HasSuffix(text, ".") {
			t.Error(text)
		}
	}
	if Done("<b>", 1) != "" || Done("drain", -1) != "" || Done("drain", 1e6) != "" {
		t.Error("a note of somebody else's")
	}
}

// TestCrowd: 10,000 servers cost a page no more than those that it shows, and a
// table no room for all of it.
func TestCrowd(t *testing.T) {
	s := crowd(10_000)
	if n := len(s.AppendHTML(nil, page())); n > 1<<20 {
		t.Errorf("the page has %d bytes", n)
	}
	w := &longest{}
	if err := s.WriteCSV(w); err != nil || w.all < 3<<20 || w.one > 2*chunk {
		t.Errorf("%d bytes, at most %d at a time, %v", w.all, w.one, err)
	}
	w = &longest{}
	if err := s.WriteJSON(w); err != nil || w.one > 2*chunk {
		t.Errorf("%d bytes, at most %d at a time, %v", w.all, w.one, err)
	}
}

type longest struct{ all, one int }

func (l *longest) Write(p []byte) (int, error) {
	l.all, l.one = l.all+len(p), max(l.one, len(p))
	return len(p), nil
}

func BenchmarkCrowd(b *testing.B) {
	s := crowd(10_000)
	b.Run("page", func(b *testing.B) {
		for b.Loop() {
			s.AppendHTML(nil, page())
		}
	})
	b.Run("csv", func(b *testing.B) {
		for b.Loop() {
			_ = s.WriteCSV(&longest{})
		}
	})
}

func FuzzEscape(f *testing.F) {
	f.Add(evil)
	f.Add("a&lt;\xff\xfe")
	f.Fuzz(func(t *testing.T, s string) {
		out := string(escape(nil, s))
		if strings.ContainsAny(out, "<>\"'\x00\x1b") {
			t.Errorf("%q becomes %q", s, out)
		}
		field := appendField(nil, "x"+s)
		if r, err := csv.NewReader(bytes.NewReader(append(field, ",1\n"...))).Read(); err != nil || len(r) != 2 {
			t.Errorf("%q becomes %q: %q, %v", s, field, r, err)
		}
		v := ParseView(s)
		if again := ParseView(v.Query()); again != v {
			t.Errorf("%q is %+v and then %+v", s, v, again)
		}
		_, _ = ParseOrder(s)
	})
}
