package trace

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

func part(doc string) []spec.Arg {
	return []spec.Arg{{Name: "PART", Kind: spec.String, Doc: doc}}
}

// Words declares `trace`, once for the process and once for sites.
func Words() []spec.Word {
	return []spec.Word{
		{
			Name: "trace", In: spec.InProcess, Example: "trace otlp http://127.0.0.1:4318 sample 10%",
			Doc: "Tells a collector of traces what became of exchanges",
			Long: "Each exchange of an HTTP site is a span, each try at a server one below it, with the attributes of OpenTelemetry's conventions for HTTP. " +
				"Servers get `traceparent` (W3C Trace Context) with the try as the parent of what they do. A client's own trace is gone on with, and its word on " +
				"sampling counts. Without `trace` both fields pass untouched. `{trace.id}` names the trace in logs and templates. " +
				"What the collector does not take in time is dropped, and counted in the metrics.",
			Variants: []spec.Word{{
				Name: "otlp", Doc: "By the OpenTelemetry protocol over HTTP", Example: "trace otlp https://collector.example:4318 service shop",
				Args: []spec.Arg{{Name: "URL", Kind: spec.String, Doc: "of the collector; without a path it is /v1/traces"}},
			}},
			Options: []spec.Word{
				{Name: "sample", Default: "100%", Doc: "how many of the exchanges that belong to no trace yet are told of", Args: part("such as 10%, 0.5% or 1/1000")},
				{Name: "service", Default: "loadstar", Doc: "what the collector calls this process (service.name)",
					Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "a name"}}},
				{Name: "header", Repeat: true, Doc: "a field that is sent to the collector, such as a token",
					Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "its name"}, {Name: "VALUE", Kind: spec.String, Doc: "its value"}}},
			},
		},
		{
			Name: "trace", In: spec.InHTTPSite, Example: "trace sample 1%",
			Doc: "How much of this site is traced, instead of what the process's `trace` says",
			Variants: []spec.Word{
				{Name: "sample", Doc: "So many of the exchanges that belong to no trace yet", Example: "trace sample 1/1000", Args: part("such as 10%, 0.5% or 1/1000")},
				{Name: "off", Doc: "Nothing; what a client says of its trace passes untouched", Example: "trace off"},
			},
		},
	}
}

// Key names an exporter over reloads, by all that makes it what it is.
type Key struct{ URL, Service, Headers string }

// String gives the exporter as messages name it; its headers are secrets.
func (k Key) String() string { return "otlp " + k.URL }

// Settings are what the process's `trace` says.
type Settings struct {
	Key
	Sample Share
}

// Read reads the process's `trace`. An error is about its arguments.
func Read(n *config.Node) (s Settings, err error) {
	u, err := url.Parse(n.Text(0))
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return s, fmt.Errorf("%q is no address of a collector: write http://HOST:PORT or https://HOST:PORT", n.Text(0))
	case u.User != nil:
		return s, errors.New("a name and a password do not belong into the address: write `header Authorization …`")
	case u.RawQuery != "" || u.Fragment != "":
		return s, fmt.Errorf("%q has more than a path behind the host", n.Text(0))
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	s.URL, s.Service = u.String(), n.OptionText("service")
	for _, h := range config.Find(n.Options, "header") {
		if strings.ContainsAny(h.Text(1), "\r\n\x00") {
			return s, fmt.Errorf("the value of %s breaks the line", h.Text(0))
		}
		s.Headers += h.Text(0) + "\x00" + h.Text(1) + "\x00"
	}
	s.Sample, err = ParseShare(n.OptionText("sample"))
	return s, err
}

// Share is a part of all, spread at random.
type Share struct{ below uint64 }

// ParseShare reads 10%, 0.5% or 1/1000.
func ParseShare(text string) (Share, error) {
	var part float64
	var err error
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		part, err = strconv.ParseFloat(percent, 64)
		part /= 100
	} else if num, den, ok := strings.Cut(text, "/"); ok {
		var n, d uint64
		n, err = strconv.ParseUint(num, 10, 32)
		if err == nil {
			d, err = strconv.ParseUint(den, 10, 32)
		}
		part = float64(n) / float64(d)
	} else {
		err = strconv.ErrSyntax
	}
	if err != nil || math.IsNaN(part) || part < 0 || part > 1 {
		return Share{}, fmt.Errorf("%q is no part of all: write 10%%, 0.5%% or 1/1000", text)
	}
	if part == 1 {
		return Share{math.MaxUint64}, nil
	}
	return Share{uint64(part * (1 << 63) * 2)}, nil
}

func (s Share) take() bool {
	switch s.below {
	case 0:
		return false
	case math.MaxUint64:
		return true
	}
	return rand.Uint64() < s.below
}
