package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/modules"
	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/runtime"
)

// steered is a process that has nothing but a runtime.
type steered struct {
	Process
	rt *runtime.Runtime
}

func (s steered) Census() *census.Census { return s.rt.Census() }
func (s steered) Tag() string            { return `"x"` }

func (s steered) Change(ctx context.Context, c overlay.Change, _ string) error {
	return s.rt.Overlay().Do(ctx, c)
}

const farm = "pool web {\n\tserver one 10.0.0.1:80\n\tserver two 10.0.0.2:80 disabled\n}\n"

// FuzzChange sends anything to POST /changes. Whatever it is, the answer is JSON
// with a status that is meant, what is wrong is placed inside the body, and the
// configuration can be loaded again with what was changed.
func FuzzChange(f *testing.F) {
	for _, s := range []string{
		`{"kind":"drain","pool":"web","server":"one"}`,
		`{"kind":"weight","pool":"web","server":"one","weight":"50%","for":"1h","why":"x"}`,
		`{"kind":"maxconn","pool":"web","server":"one","maxconn":-1}`,
		`{"kind":"add","pool":"web","server":"new","address":"10.0.0.9:80","options":"weight 3 health off tls verify off"}`,
		`{"kind":"add","pool":"web","server":"{$HOME}","address":"[::1]:80","options":"weight \"3\" } pool x {"}`,
		`{"kind":"remove","pool":"web","server":"one"}`, `{"kind":"ready","pool":"web","server":"two"}`,
		"{\n\"kind\": \"dr\xff", `{"kind":"drain"} x`, `{"poool":1}`, `[]`, `null`, ``, `{"kind":"shut","pool":"web","server":"one"}`,
	} {
		f.Add(s)
	}
	cfg, _, errs := dsl.Load("Lbfile", []byte(farm), dsl.Options{Vocabulary: modules.Standard().Vocabulary()})
	if errs.HasErrors() {
		f.Fatal(errs)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	r := runtime.New(modules.Standard(), slog.New(slog.DiscardHandler))
	if _, found := r.Apply(cfg); found.HasErrors() {
		f.Fatal(found)
	}
	h := New(steered{rt: r}, http.NotFoundHandler())
	f.Fuzz(func(t *testing.T, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/changes", strings.NewReader(body)))
		switch w.Code {
		case 200:
		case 400, 404, 409, 413, 422:
			var p Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Message == "" {
				t.Fatalf("%d %s: %v", w.Code, w.Body, err)
			}
			for _, d := range p.Diagnostics {
				if d.Range.File == bodyName && (d.Range.Start.Offset > len(body) || d.Range.Start.Line < 1 || d.Range.Start.Column < 1) {
					t.Errorf("placed outside: %+v", d.Range)
				}
			}
		default:
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if _, found := r.Apply(cfg); found.HasErrors() {
			t.Fatalf("cannot be loaded any more: %v", found)
		}
		if len(r.Overlay().List()) > 0 {
			if err := r.Overlay().Do(context.Background(), overlay.Change{Kind: overlay.Clear}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestPlaces(t *testing.T) {
	for body, want := range map[string]string{
		"{\"kind\": \"drain\",\n  \"server\": one}": `request body:2:13: invalid character 'o' looking for beginning of value`,
		`{"kind": "drain", "sever": "x"}`:           `request body:1:19: there is no field "sever"; did you mean "server"?`,
		`{"kind": "drain"`:                          `request body:1:17: the value ends too early`,
		`{"maxconn": "7"}`:                          `maxconn takes a value of type integer, not a string`,
		"{}\n\n[]":                                  `request body:3:`,
	} {
		var o Order
		err := decodeBytes([]byte(body), &o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant %s", body, err, want)
		}
	}
}

// What the query says of time is checked before anything is done.
func TestFor(t *testing.T) {
	for _, text := range []string{"x", "-1s", "0s", fmt.Sprint(maxFor + time.Hour), "1", "1e9h"} {
		if _, err := (&Order{Kind: overlay.Drain, For: text}).change("me"); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	c, err := (&Order{Kind: overlay.Drain, For: "90s"}).change("me")
	if left := time.Until(c.Expires); err != nil || left > 90*time.Second || left < 30*time.Second {
		t.Errorf("expires in %v, %v", left, err)
	}
}
