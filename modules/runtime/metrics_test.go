package runtime_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// TestMetricsDirective: where `metrics` answers, to whom, and in which format.
func TestMetricsDirective(t *testing.T) {
	r, port := newRuntime(t), freePort(t)
	text := fmt.Sprintf("http://:%d {\n\tbind 127.0.0.1\n\tlog off\n\t@nobody client 192.0.2.1\n\t@us client 127.0.0.0/8\n"+
		"\tmetrics\n\tmetrics /lb\n\tmetrics @nobody /nobody\n\tmetrics @us /us/*\n\trespond 404 \"none\"\n}\n", port)
	if _, errs := r.Apply(load(t, text)); errs.HasErrors() {
		t.Fatal(errs)
	}
	ask := func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d%s", port, path), nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body io.Reader = res.Body
		if res.Header.Get("Content-Encoding") == "gzip" {
			if body, err = gzip.NewReader(body); err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return res, string(b)
	}
	for path, status := range map[string]int{"/metrics": 200, "/lb": 200, "/us/x": 200, "/nobody": 404, "/": 404, "/metrics/": 404} {
		if res, body := ask("GET", path); res.StatusCode != status || (status == 200) != strings.Contains(body, "loadstar_config_generation 1\n") {
			t.Errorf("%s: %d %q", path, res.StatusCode, body)
		}
	}
	if res, body := ask("HEAD", "/metrics"); res.StatusCode != 200 || body != "" || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("HEAD: %v %q", res.Header, body)
	}
	if res, _ := ask("POST", "/metrics"); res.StatusCode != 405 {
		t.Errorf("POST: %d", res.StatusCode)
	}
	for _, enc := range []string{"identity", "gzip"} {
		for accept, kind := range map[string]expfmt.FormatType{
			"*/*": expfmt.TypeTextPlain,
			"application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5":                                  expfmt.TypeOpenMetrics,
			"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,text/plain;q=.5": expfmt.TypeProtoDelim,
		} {
			res, body := ask("GET", "/metrics", "Accept", accept, "Accept-Encoding", enc)
			if (res.Header.Get("Content-Encoding") == "gzip") != (enc == "gzip") {
				t.Errorf("%s: %v", enc, res.Header)
			}
			if f := expfmt.Format(res.Header.Get("Content-Type")); f.FormatType() != kind {
				t.Errorf("%s: %s", accept, f)
			}
			if kind == expfmt.TypeOpenMetrics { // the text parser is of the older format
				if !strings.HasSuffix(body, "# EOF\n") {
					t.Errorf("OpenMetrics ends in %q", body[max(0, len(body)-50):])
				}
				continue
			}
			dec := expfmt.NewDecoder(strings.NewReader(body), expfmt.ResponseFormat(res.Header))
			families := 0
			for ; ; families++ {
				var mf dto.MetricFamily
				if err := dec.Decode(&mf); err != nil {
					if err != io.EOF {
						t.Errorf("%s: %v", accept, err)
					}
					break
				}
			}
			if families < 60 {
				t.Errorf("%s: %d families", accept, families)
			}
		}
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	_, body := ask("GET", "/metrics")
	if _, err := p.TextToMetricFamilies(strings.NewReader(body)); err != nil {
		t.Error(err)
	}
}
