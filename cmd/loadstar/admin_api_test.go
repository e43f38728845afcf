package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// steered is a process that listens at unix sockets of a directory only.
const steered = `{
	admin off
}
http://unix/%[1]s/web.sock {
	log off
	proxy /api/* api
	proxy web
}
pool web {
	server one 10.0.0.1:80 weight 4
	server two 10.0.0.2:80
}
pool api {
	persist source size 100
	server a 10.0.1.1:80
}
`

// steer starts a process inside this one.
func steer(t testing.TB) (p *process, h http.Handler, text string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	text = fmt.Sprintf(steered, dir)
	file := filepath.Join(dir, "Lbfile")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	old := slog.Default()
	t.Cleanup(func() { slog.SetDefault(old) })
	c := &cobra.Command{}
	c.SetErr(io.Discard)
	p = newProcess(file, c)
	if o := p.Load(context.Background(), api.Load{By: "test"}); !o.OK() {
		t.Fatal(o.Diagnostics)
	}
	t.Cleanup(func() {
		p.die()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.runtime.Shutdown(ctx)
	})
	return p, p.admin.handler("unix"), text
}

// asked is one request of the endpoint.
type asked struct {
	method, path, body string
	header             [2]string
	code               int
	says               string
}

func (a asked) to(h http.Handler) *httptest.ResponseRecorder {
	r := httptest.NewRequest(a.method, a.path, strings.NewReader(a.body))
	r.Header.Set("Accept", "application/json")
	if a.header[0] != "" {
		r.Header.Set(a.header[0], a.header[1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Every route is there and answers what the description says, also when it
// refuses.
func TestAdminDescription(t *testing.T) {
	_, h, text := steer(t)
	var doc map[string]any
	if err := json.Unmarshal(asked{method: "GET", path: "/openapi.json"}.to(h).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(text, "weight 4", "weight 8", 1)
	j := `{"kind":"%s","pool":"%s","server":"%s"%s}`
	seen := map[string]bool{}
	for _, a := range []asked{
		{method: "GET", path: "/openapi.json", code: 200},
		{method: "GET", path: "/status", code: 200, says: `"changes": 0`},
		{method: "GET", path: "/census", code: 200},
		{method: "GET", path: "/metrics", code: 200},
		{method: "GET", path: "/pools", code: 200},
		{method: "GET", path: "/pools/web", code: 200, says: "10.0.0.2:80"},
		{method: "GET", path: "/pools/wbe", code: 404, says: `did you mean \"web\"?`},
		{method: "GET", path: "/servers", code: 200},
		{method: "GET", path: "/servers?pool=api", code: 200},
		{method: "GET", path: "/servers?poll=api", code: 400, says: "did you mean pool?"},
		{method: "GET", path: "/pools/web/servers/one", code: 200, says: `"weight": 4`},
		{method: "GET", path: "/pools/web/servers/oen", code: 404, says: `did you mean \"one\"?`},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "drain", "web", "one", ""), code: 200, says: `"state": "drain"`},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "weight", "web", "one", `,"weight":"50%"`), code: 200, says: `"weight": 2`},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "add", "web", "new", `,"address":"10.0.0.9:80","options":"weight 3","for":"1h"`), code: 200, says: `"weight": 3`},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "add", "web", "bad", `,"address":"10.0.0.9:80","options":"wieght 3"`), code: 422, says: "wieght"},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "add", "web", "new", `,"address":"10.0.0.9:80"`), code: 409, says: "already"},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "remove", "web", "new", ""), code: 200, says: "null"},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "remove", "api", "a", ""), code: 409, says: "no server"},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "weight", "web", "one", `,"weight":"999"`), code: 422, says: "no weight"},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "drain", "web", "nobody", ""), code: 404},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "shut", "web", "one", ""), code: 200},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "drain", "web", "one", `,"for":"x"`), code: 400, says: "no duration"},
		{method: "POST", path: "/changes", body: "{\n  \"kind\": drain\n}", code: 400, says: `"line": 2`},
		{method: "POST", path: "/changes", body: `{"kind":"drain","pol":"web"}`, code: 400, says: `did you mean \"pool\"?`},
		{method: "POST", path: "/changes", body: `{"kind":7}`, code: 400, says: "kind takes a value of type string"},
		{method: "POST", path: "/changes", body: `{} {}`, code: 400, says: "more behind"},
		{method: "POST", path: "/changes", body: ``, code: 400, says: "too early"},
		{method: "POST", path: "/changes", body: `{"why":"` + strings.Repeat("x", 70<<10) + `"}`, code: 413, says: "larger"},
		{method: "POST", path: "/changes", body: fmt.Sprintf(j, "drain", "web", "two", ""), header: [2]string{"If-Match", `"old"`}, code: 412},
		{method: "GET", path: "/changes", code: 200, says: "server one 10.0.0.1:80 weight 0"},
		{method: "DELETE", path: "/changes?pool=web&server=two", code: 404},
		{method: "DELETE", path: "/changes", code: 200, says: `"changes": []`},
		{method: "GET", path: "/sessions?limit=5", code: 200},
		{method: "GET", path: "/sessions?limit=x", code: 400},
		{method: "DELETE", path: "/sessions", code: 400, says: "say which"},
		{method: "DELETE", path: "/sessions?id=1-1", code: 404},
		{method: "DELETE", path: "/sessions?pool=web&server=one", code: 200, says: `"count": 0`},
		{method: "GET", path: "/connections", code: 200},
		{method: "DELETE", path: "/connections/12345678", code: 404},
		{method: "DELETE", path: "/connections/x", code: 400},
		{method: "GET", path: "/tables", code: 200, says: "pool:api"},
		{method: "GET", path: "/tables/pool:api", code: 200, says: `"size": 100`},
		{method: "GET", path: "/tables/nope", code: 404},
		{method: "DELETE", path: "/tables/pool:api?key=10.0.0.1", code: 200},
		{method: "GET", path: "/config", code: 200, says: "persist source"},
		{method: "GET", path: "/config/source", code: 200, says: "pool web"},
		{method: "GET", path: "/config/graph", code: 200, says: "10.0.0.1:80"},
		{method: "GET", path: "/config/graph?format=dot", code: 200, says: "digraph"},
		{method: "GET", path: "/config/graph?format=svg", code: 200, says: "<svg"},
		{method: "GET", path: "/config/graph?format=gif", code: 400},
		{method: "POST", path: "/load?dry_run=maybe", body: changed, code: 400},
		{method: "POST", path: "/load?confirm=1ns", body: changed, code: 400},
		{method: "POST", path: "/load?dryrun=true", body: changed, code: 400, says: "did you mean dry_run?"},
		{method: "POST", path: "/load?dry_run=true", body: changed, code: 200, says: `"dry_run": true`},
		{method: "POST", path: "/load?dry_run=true", body: "nonsense {", code: 422, says: `"diagnostics"`},
		{method: "POST", path: "/load", body: "nonsense {", code: 422, says: `"ok": false`},
		{method: "POST", path: "/load", body: changed, header: [2]string{"If-Match", `"old"`}, code: 412},
		{method: "POST", path: "/load", body: strings.Repeat("#", syntax.MaxSize+1), code: 413},
		{method: "POST", path: "/load?confirm=1h", body: changed, code: 200, says: `"back_to": 1`},
		{method: "POST", path: "/load", body: text, code: 409, says: "waits to be confirmed"},
		{method: "POST", path: "/reload", code: 409},
		{method: "POST", path: "/upgrade", code: 409, says: "waits to be confirmed"},
		{method: "GET", path: "/status", code: 200, says: `"pending"`},
		{method: "POST", path: "/confirm", code: 200, says: `"number": 2`},
		{method: "POST", path: "/confirm", code: 409},
		{method: "GET", path: "/history", code: 200, says: `"number": 2`},
		{method: "GET", path: "/history/2", code: 200, says: "weight 8"},
		{method: "GET", path: "/history/77", code: 404},
		{method: "GET", path: "/history/x", code: 400},
		{method: "GET", path: "/history/2/diff", code: 200},
		{method: "GET", path: "/history/1/diff?from=2", code: 200, says: "+\tserver one 10.0.0.1:80 weight 4"},
		{method: "POST", path: "/rollback?to=9", code: 404},
		{method: "POST", path: "/rollback", code: 200, says: `"ok": true`},
		{method: "POST", path: "/reload", code: 200},
	} {
		w := a.to(h)
		name := a.method + " " + a.path
		if w.Code != a.code || !strings.Contains(w.Body.String(), a.says) {
			t.Errorf("%s %.80q: %d %.600s\nwant %d with %q", name, a.body, w.Code, w.Body, a.code, a.says)
			continue
		}
		route := routeOf(doc, a.path)
		if route == "" {
			t.Errorf("%s is not described", name)
			continue
		}
		seen[a.method+" "+route] = true
		if fault := answers(doc, route, strings.ToLower(a.method), w); fault != "" {
			t.Errorf("%s: %s\n%.600s", name, fault, w.Body)
		}
	}
	for path, methods := range doc["paths"].(map[string]any) {
		for method := range methods.(map[string]any) {
			if name := strings.ToUpper(method) + " " + path; !seen[name] && name != "DELETE /connections/{id}" {
				t.Errorf("%s was not tried", name)
			}
		}
	}
	for _, a := range []asked{
		{method: "PUT", path: "/changes", code: 405, says: "it takes"},
		{method: "GET", path: "/stauts", code: 404, says: "did you mean /status?"},
	} {
		if w := a.to(h); w.Code != a.code || !strings.Contains(w.Body.String(), a.says) {
			t.Errorf("%s %s: %d %s", a.method, a.path, w.Code, w.Body)
		}
	}
}

// Of changes that are based on the same state one is made.
func TestAdminConcurrentChanges(t *testing.T) {
	p, h, text := steer(t)
	for round := range 10 {
		tag := p.Tag()
		var wg sync.WaitGroup
		var mu sync.Mutex
		codes := map[int]int{}
		for i := range 6 {
			wg.Go(func() {
				a := asked{method: "POST", path: "/changes", header: [2]string{"If-Match", tag},
					body: fmt.Sprintf(`{"kind":"weight","pool":"web","server":"one","weight":"%d"}`, 10+round*10+i)}
				if i == 5 {
					a = asked{method: "POST", path: "/load", header: [2]string{"If-Match", tag}, body: text + fmt.Sprintf("# %d\n", round)}
				}
				code := a.to(h).Code
				mu.Lock()
				codes[code]++
				mu.Unlock()
			})
		}
		wg.Wait()
		if codes[200] != 1 || codes[412] != 5 {
			t.Errorf("round %d: %v, want one 200 and five 412", round, codes)
		}
	}
}

// Changes, loads and looks of all kinds at once; what is left is what was done
// last.
func TestAdminConcurrency(t *testing.T) {
	p, h, text := steer(t)
	var wg sync.WaitGroup
	order := func(body string) {
		if w := (asked{method: "POST", path: "/changes", body: body}).to(h); w.Code == 500 {
			t.Error(w.Body.String())
		}
	}
	for i := range 4 {
		wg.Go(func() {
			name := fmt.Sprintf("n%d", i)
			for range 5 {
				order(`{"kind":"add","pool":"web","server":"` + name + `","address":"10.9.9.` + fmt.Sprint(i) + `:80"}`)
				order(`{"kind":"drain","pool":"web","server":"` + name + `"}`)
				order(`{"kind":"maint","pool":"web","server":"one"}`)
				order(`{"kind":"ready","pool":"web","server":"one"}`)
				order(`{"kind":"remove","pool":"web","server":"` + name + `"}`)
			}
		})
	}
	wg.Go(func() {
		for i := range 10 {
			if w := (asked{method: "POST", path: "/load", body: text + strings.Repeat("\n", i%3)}).to(h); w.Code != 200 {
				t.Error(w.Body.String())
			}
		}
	})
	wg.Go(func() {
		for range 20 {
			for _, path := range []string{"/changes", "/pools", "/sessions", "/connections", "/config/graph", "/status"} {
				if w := (asked{method: "GET", path: path}).to(h); w.Code != 200 {
					t.Error(path, w.Body.String())
				}
			}
		}
	})
	wg.Wait()
	if all, _ := p.Changes(); len(all) != 0 {
		t.Errorf("left: %+v", all)
	}
	if web := p.Census().Pools[1]; web.Name != "web" || len(web.Servers) != 2 || web.Usable != 2 {
		t.Errorf("left: %+v", web)
	}
}

// A body that comes too slowly, or not at all, does not hold the endpoint up.
func TestAdminSlowBody(t *testing.T) {
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	a := newAdmin(&control{})
	a.patience = 300 * time.Millisecond
	t.Cleanup(a.Close)
	addr := filepath.Join(dir, "s")
	commit, _, err := a.move("unix/"+addr, true)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	c, err := net.Dial("unix", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /load HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhttp")
	_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil && resp.StatusCode == 200 {
		t.Errorf("answered %s", resp.Status)
	}
	if err != nil && !strings.Contains(err.Error(), "EOF") && !strings.Contains(err.Error(), "reset") {
		t.Errorf("not ended: %v", err)
	}
	if o, err := postLoad(context.Background(), "unix/"+addr, "", nil); err != nil || !o.OK {
		t.Errorf("others get no answer: %v", err)
	}
}

// Who asked is noted: the user at the other end of the socket, and for whom.
func TestAdminKnowsWho(t *testing.T) {
	p, _, _ := steer(t)
	dir, err := os.MkdirTemp("", "lb")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	commit, _, err := p.admin.move("unix/"+filepath.Join(dir, "s"), true)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	t.Cleanup(p.admin.Close)
	t.Setenv("SUDO_USER", "ali\x1bce")
	k := &ctl{admin: "unix/" + filepath.Join(dir, "s"), format: "text"}
	if _, err := k.change(context.Background(), api.Order{Kind: "drain", Pool: "web", Server: "one"}); err == nil {
		t.Error("a control character in a header was sent")
	}
	t.Setenv("SUDO_USER", "alice")
	if _, err := k.change(context.Background(), api.Order{Kind: "drain", Pool: "web", Server: "one"}); err != nil {
		t.Fatal(err)
	}
	all, _ := p.Changes()
	if len(all) != 1 || !strings.HasSuffix(all[0].By, " (alice)") || strings.HasPrefix(all[0].By, "admin endpoint") {
		t.Errorf("done by %+v", all)
	}
}

// routeOf finds the path of the description that a request takes.
func routeOf(doc map[string]any, path string) string {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	best := ""
	for route := range doc["paths"].(map[string]any) {
		want := strings.Split(route, "/")
		if len(want) == len(parts) && !slices.ContainsFunc(want, func(w string) bool {
			i := slices.Index(want, w)
			return w != parts[i] && !strings.HasPrefix(w, "{")
		}) && (best == "" || !strings.Contains(route, "{")) {
			best = route
		}
	}
	return best
}

// answers tells what an answer has that its description does not, "" if it agrees.
func answers(doc map[string]any, route, method string, w *httptest.ResponseRecorder) string {
	op, ok := doc["paths"].(map[string]any)[route].(map[string]any)[method].(map[string]any)
	if !ok {
		return "the method is not described"
	}
	answer, ok := op["responses"].(map[string]any)[fmt.Sprint(w.Code)].(map[string]any)
	if !ok {
		return fmt.Sprintf("the status %d is not described", w.Code)
	}
	content, ok := answer["content"].(map[string]any)
	if !ok {
		return "" // described by itself
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	media, ok := content[kind].(map[string]any)
	if !ok {
		if kind != "application/json" { // another form, that was asked for
			return ""
		}
		return "the type " + kind + " is not described"
	}
	if kind != "application/json" {
		return ""
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err.Error()
	}
	return agrees(doc, media["schema"].(map[string]any), v, "$")
}

// agrees checks a value by a schema, as far as the description uses them.
func agrees(doc, schema map[string]any, v any, at string) string {
	if ref, ok := schema["$ref"].(string); ok && v != nil {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		named, ok := doc["components"].(map[string]any)["schemas"].(map[string]any)[name].(map[string]any)
		if !ok {
			return at + ": there is no schema " + name
		}
		return agrees(doc, named, v, at)
	}
	if v == nil {
		if schema["nullable"] == true {
			return ""
		}
		return at + " is null"
	}
	for _, s := range asList(schema["allOf"]) {
		if fault := agrees(doc, s.(map[string]any), v, at); fault != "" {
			return fault
		}
	}
	ok := true
	switch schema["type"] {
	case "object":
		o, is := v.(map[string]any)
		if !is {
			return at + " is no object"
		}
		return agreesObject(doc, schema, o, at)
	case "array":
		list, is := v.([]any)
		if ok = is; ok {
			for i, e := range list {
				if fault := agrees(doc, schema["items"].(map[string]any), e, fmt.Sprintf("%s[%d]", at, i)); fault != "" {
					return fault
				}
			}
		}
	case "string":
		s, is := v.(string)
		ok = is
		if is && schema["format"] == "date-time" {
			_, err := time.Parse(time.RFC3339Nano, s)
			ok = err == nil
		}
	case "integer":
		n, is := v.(json.Number)
		ok = is && !strings.ContainsAny(n.String(), ".eE")
	case "number":
		_, ok = v.(json.Number)
	case "boolean":
		_, ok = v.(bool)
	}
	if !ok {
		return fmt.Sprintf("%s is no %v: %.60v", at, schema["type"], v)
	}
	return ""
}

func agreesObject(doc, schema, o map[string]any, at string) string {
	props, _ := schema["properties"].(map[string]any)
	for _, name := range asList(schema["required"]) {
		if _, ok := o[name.(string)]; !ok {
			return at + " lacks " + name.(string)
		}
	}
	for name, v := range o {
		s, ok := props[name].(map[string]any)
		if !ok {
			if s, ok = schema["additionalProperties"].(map[string]any); !ok {
				return at + "." + name + " is not described"
			}
		}
		if fault := agrees(doc, s, v, at+"."+name); fault != "" {
			return fault
		}
	}
	return ""
}

func asList(v any) []any {
	l, _ := v.([]any)
	return l
}
