package main_test

import (
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// fetchStats gets a form of the statistics page, as its user.
func fetchStats(t *testing.T, port int, target string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+rig.Addr(port)+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", statsPassword)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", target, resp.Status, err)
	}
	return string(body)
}

// statsRows reads the CSV of either product: its columns, and by "pool/server" the
// values.
func statsRows(t *testing.T, text string) (columns []string, rows map[string]map[string]string) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# ")))
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows = map[string]map[string]string{}
	for _, row := range all[1:] {
		values := map[string]string{}
		for i, v := range row {
			values[all[0][i]] = v
		}
		rows[row[0]+"/"+row[1]] = values
	}
	return all[0], rows
}

type statsField struct {
	ObjType string
	Field   struct{ Name string }
	Tags    map[string]string
	Value   struct{ Type string }
}

// TestOracleStats: the same scraper reads HAProxy's statistics and ours. Columns
// have the same names and places, and after the same requests those values are the
// same that speak of the same.
func TestOracleStats(t *testing.T) {
	t.Parallel()
	bin := haproxyPath(t)
	origin := e2e.NewOrigin(t, nil)
	ports := e2e.Ports(t, 3)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`defaults
 mode http
 timeout client 20s
 timeout server 10s
 timeout connect 5s
frontend front
 bind 127.0.0.1:%d
 stats enable
 stats uri /lb-stats
 stats auth admin:%s
 http-request deny if { path /deny }
 default_backend web
backend web
 balance roundrobin
 option httpchk GET /health
 server one 127.0.0.1:%d weight 3 check inter 500
 server two 127.0.0.1:%d check inter 500
 server three 127.0.0.1:%d check inter 500 backup
 server four 127.0.0.1:%d disabled
`, ports[0], statsPassword, origin.Port, origin.Port, ports[2], origin.Port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	theirs, err := rig.Start(exec.Command(bin, "-db", "-f", file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Stop(time.Second) })
	if err := theirs.Answers(10*time.Second, rig.Addr(ports[0])); err != nil {
		t.Fatal(err)
	}
	e2e.Run(t, fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	log off
	stats /lb-stats auth admin %s
	deny /deny
	proxy web
}
pool web {
	balance roundrobin
	health http GET /health interval 500ms
	server one 127.0.0.1:%d weight 3
	server two 127.0.0.1:%d
	server three 127.0.0.1:%d backup
	server four 127.0.0.1:%d disabled
}
`, ports[1], statsHash, origin.Port, origin.Port, ports[2], origin.Port), ports[1])
	var rows [2]map[string]map[string]string
	var columns [2][]string
	for side := range sides {
		for i := range 22 {
			c := e2e.Dial(t, ports[side])
			path := "/x"
			if i >= 20 {
				path = "/deny"
			}
			c.Send("GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n")
			c.Answer("GET")
			c.Close()
		}
		if !rig.Until(e2e.Patience, func() bool {
			columns[side], rows[side] = statsRows(t, fetchStats(t, ports[side], "/lb-stats;csv"))
			return rows[side]["web/three"]["status"] == "DOWN" && rows[side]["web/one"]["check_status"] == "L7OK" && rows[side]["web/BACKEND"]["hrsp_2xx"] == "20"
		}) {
			t.Fatalf("%s: %v", sides[side], rows[side])
		}
	}
	own := strings.Split(strings.Join(columns[1], ","), ",-,")[0]
	if !strings.HasPrefix(strings.Join(columns[0], ","), own+",") {
		t.Errorf("HAProxy's columns are\n%v\nours\n%s", columns[0], own)
	}
	same := []string{"status", "act", "bck", "type", "check_status", "check_code", "check_desc", "check_rise", "check_health", "hrsp_1xx", "hrsp_2xx",
		"hrsp_4xx", "hrsp_5xx", "qcur", "econ", "eresp", "wretr", "wredis", "weight", "uweight", "mode", "lbtot", "chkdown", "slim", "pid", "sid"}
	for name, ours := range rows[1] {
		if ours["svname"] == "FRONTEND" {
			continue
		}
		for _, c := range same {
			if theirs := rows[0][name][c]; theirs != ours[c] && !differs[name+" "+c] && !differs[c] {
				t.Errorf("%s %s: HAProxy has %q, we %q", name, c, theirs, ours[c])
			}
		}
	}
	sameFields(t, fetchStats(t, ports[0], "/lb-stats;json"), fetchStats(t, ports[1], "/lb-stats;json"))
}

// differs are values that are not the same for a reason.
var differs = map[string]bool{
	"web/BACKEND slim": true, // fullconn, of which we have none without minconn
}

// sameFields compares the JSON of both: the types and tags of fields that both have.
func sameFields(t *testing.T, texts ...string) {
	t.Helper()
	var fields [2]map[string]statsField
	for side, text := range texts {
		var rows [][]statsField
		if err := json.Unmarshal([]byte(text), &rows); err != nil {
			t.Fatalf("%s: %v", sides[side], err)
		}
		fields[side] = map[string]statsField{}
		for _, row := range rows {
			for _, f := range row {
				fields[side][f.ObjType+" "+f.Field.Name] = f
			}
		}
	}
	compared := 0
	for name, ours := range fields[1] {
		theirs, ok := fields[0][name]
		if !ok {
			continue
		}
		compared++
		if ours.Value.Type != theirs.Value.Type || fmt.Sprint(ours.Tags) != fmt.Sprint(theirs.Tags) {
			t.Errorf("%s: HAProxy has %v %v, we %v %v", name, theirs.Value.Type, theirs.Tags, ours.Value.Type, ours.Tags)
		}
	}
	if compared < 80 {
		t.Errorf("only %d fields of %d could be compared", compared, len(fields[1]))
	}
}

// TestStatsLetGo: a page that is open keeps no old configuration: its events end
// at a reload, cleanly, and the next one has the new configuration.
func TestStatsLetGo(t *testing.T) {
	t.Parallel()
	in, port, _ := watched(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+rig.Addr(port)+"/lb-stats;live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("admin", statsPassword)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	begin := make([]byte, 20)
	if _, err := io.ReadFull(resp.Body, begin); err != nil || !strings.HasPrefix(string(begin), "retry: ") {
		t.Fatalf("%q, %v", begin, err)
	}
	in.Reload()
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, resp.Body); ended <- err }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("it did not end cleanly: %v", err)
		}
	case <-time.After(e2e.Patience):
		t.Fatal("it goes on")
	}
	if !rig.Until(e2e.Patience, func() bool {
		page := fetchStats(t, port, "/lb-stats")
		return strings.Contains(page, "#2</b>") && !strings.Contains(page, "draining")
	}) {
		t.Error("the old configuration is still in use")
	}
}

// TestStatsOrders: what is ordered on the page is in force at once, and after a
// reload.
func TestStatsOrders(t *testing.T) {
	t.Parallel()
	in, port, _ := watched(t)
	host := rig.Addr(port)
	token := regexp.MustCompile(`name="token" value="([^"]+)"`).FindStringSubmatch(fetchStats(t, port, "/lb-stats"))
	if token == nil {
		t.Fatal("the page has no form")
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	order := func(action string) {
		form := url.Values{"token": {token[1]}, "pool": {"web"}, "s": {"one"}, "action": {action}, "weight": {"7"}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+host+"/lb-stats", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("admin", statsPassword)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://"+host)
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusSeeOther || !strings.Contains(resp.Header.Get("Location"), "did="+action) {
			t.Fatalf("%s: %s to %q", action, resp.Status, resp.Header.Get("Location"))
		}
	}
	generation := 1
	for _, c := range []struct{ action, column, value string }{
		{"drain", "status", "DRAIN"}, {"maint", "status", "MAINT"}, {"ready", "status", "UP"}, {"weight", "weight", "7"}, {"shut", "status", "UP"},
	} {
		order(c.action)
		for _, when := range []string{"at once", "after a reload"} {
			var row map[string]string
			if !rig.Until(e2e.Patience, func() bool {
				_, rows := statsRows(t, fetchStats(t, port, "/lb-stats;csv"))
				row = rows["web/one"]
				return row[c.column] == c.value
			}) {
				t.Errorf("%s, %s: %s is %q, not %q", c.action, when, c.column, row[c.column], c.value)
			}
			if when == "at once" {
				in.Reload()
				generation++
				if !rig.Until(e2e.Patience, func() bool {
					return strings.Contains(fetchStats(t, port, "/lb-stats"), fmt.Sprintf("#%d</b>", generation))
				}) {
					t.Fatal("no reload")
				}
			}
		}
	}
}

// TestStatsSlowOrder: an order whose form does not come costs its connection only.
func TestStatsSlowOrder(t *testing.T) {
	t.Parallel()
	port := e2e.Ports(t, 1)[0]
	e2e.Run(t, fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\ttimeout stall 300ms drain 300ms\n\tstats /lb-stats auth admin %s admin\n\trespond ok\n}\n",
		port, statsHash), port)
	c := e2e.Dial(t, port)
	defer c.Close()
	login := base64.StdEncoding.EncodeToString([]byte("admin:" + statsPassword))
	c.Send("POST /lb-stats HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nAuthorization: Basic " + login +
		"\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\naction=dr")
	if a := c.Answer("POST"); a.Status != http.StatusBadRequest || !strings.Contains(a.Body, "did not come whole") {
		t.Errorf("%d %.300s %v", a.Status, a.Body, a.Err)
	}
	if !c.Closed() {
		t.Error("the connection goes on in the middle of a form")
	}
	if !strings.Contains(fetchStats(t, port, "/lb-stats"), "<!doctype html>") {
		t.Error("nobody else is served")
	}
}

// TestStatsOfMany tells how long the page and the table of 10,000 servers take; with
// the race detector, of 1,000.
func TestStatsOfMany(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a large configuration")
	}
	port, pools := e2e.Ports(t, 1)[0], 100
	if e2e.Race {
		pools = 10
	}
	var b strings.Builder
	fmt.Fprintf(&b, "http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\tstats /lb-stats auth admin %s\n", port, statsHash)
	for p := range pools {
		fmt.Fprintf(&b, "\tproxy /p%d/* p%d\n", p, p)
	}
	b.WriteString("\trespond 404\n}\n")
	for p := range pools {
		fmt.Fprintf(&b, "pool p%d {\n", p)
		for s := range 100 {
			fmt.Fprintf(&b, "\tserver s%d 10.%d.%d.1:80\n", s, p, s)
		}
		b.WriteString("}\n")
	}
	e2e.Run(t, b.String(), port)
	for _, target := range []string{"/lb-stats", "/lb-stats?sort=time", "/lb-stats;csv"} {
		fetchStats(t, port, target)
		begin := time.Now()
		text := fetchStats(t, port, target)
		t.Logf("%s of %d servers: %v, %d bytes", target, 100*pools, time.Since(begin).Round(time.Millisecond), len(text))
		if target == "/lb-stats;csv" && strings.Count(text, "\n") != 1+1+101*pools {
			t.Errorf("%d lines", strings.Count(text, "\n"))
		}
		if target == "/lb-stats" && len(text) > 1<<20 {
			t.Errorf("the page has %d bytes", len(text))
		}
	}
}

// TestBasicAuth: who has no password comes no further, who has one is named in the
// log, and the server sees what the client sent.
func TestBasicAuth(t *testing.T) {
	t.Parallel()
	origin := e2e.NewOrigin(t, func(c net.Conn, m *e2e.Message) bool {
		user, _, _ := (&http.Request{Header: m.Header}).BasicAuth()
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(user), user)
		return err == nil
	})
	port := e2e.Ports(t, 1)[0]
	in := e2e.Run(t, fmt.Sprintf(`http://:%d {
	bind 127.0.0.1
	log stdout format combined
	respond /open 200 open
	basic_auth realm Staff user admin %s
	proxy web
}
pool web {
	server one 127.0.0.1:%d
}
`, port, statsHash, origin.Port), port)
	get := func(path, user, password string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+rig.Addr(port)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode == http.StatusUnauthorized {
			return resp.StatusCode, resp.Header.Get("WWW-Authenticate")
		}
		return resp.StatusCode, string(body)
	}
	const challenge = `Basic realm="Staff", charset="UTF-8"`
	for _, c := range []struct {
		path, user, password string
		status               int
		text                 string
	}{
		{"/open", "", "", 200, "open"}, {"/x", "", "", 401, challenge}, {"/x", "admin", "no", 401, challenge}, {"/x", "eve", statsPassword, 401, challenge},
		{"/x", "admin", statsPassword, 200, "admin"}, {"/x", "admin", statsPassword, 200, "admin"},
	} {
		if status, text := get(c.path, c.user, c.password); status != c.status || text != c.text {
			t.Errorf("%s as %s:%s: %d %q, want %d %q", c.path, c.user, c.password, status, text, c.status, c.text)
		}
	}
	tooMany := 0
	for range 12 {
		if status, _ := get("/x", "admin", "guess"); status == http.StatusTooManyRequests {
			tooMany++
		}
	}
	if status, _ := get("/x", "admin", statsPassword); tooMany == 0 || status != http.StatusOK {
		t.Errorf("%d of 12 guesses too many were refused; the right password after them: %d", tooMany, status)
	}
	if !rig.Until(e2e.Patience, func() bool { return strings.Contains(in.Output(), `127.0.0.1 - admin [`) }) {
		t.Errorf("nobody is named in the log:\n%s", in.Output())
	}
}
