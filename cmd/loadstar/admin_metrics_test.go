package main

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/loadstar-lb/loadstar/modules/census"
)

// bare is a controller of a process without traffic.
type bare struct{ *control }

func (bare) Census() *census.Census { return &census.Census{} }

func TestAdminMetrics(t *testing.T) {
	h := (&admin{control: bare{&control{}}, log: slog.New(slog.DiscardHandler)}).handler("unix")
	for _, enc := range []string{"", "gzip"} {
		req := httptest.NewRequest("GET", "/metrics", nil)
		req.Header.Set("Accept-Encoding", enc)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		var body io.Reader = w.Body
		if enc == "gzip" {
			z, err := gzip.NewReader(body)
			if err != nil {
				t.Fatal(err)
			}
			body = z
		}
		p := expfmt.NewTextParser(model.UTF8Validation)
		all, err := p.TextToMetricFamilies(body)
		if err != nil || w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Errorf("%d %v, %v", w.Code, w.Header(), err)
		}
		if all["loadstar_config_generation"] == nil || all["go_goroutines"] == nil {
			t.Errorf("%d families", len(all))
		}
	}
}
