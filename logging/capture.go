package logging

import (
	"errors"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Credentials are the query parameters whose values no log shows unless
// `mask_query` says otherwise: those in which bearer tokens and passwords are known to
// travel (RFC 6750 §2.3, RFC 6749 §2.3.1, §4.3.2).
var Credentials = []string{
	"access_token", "refresh_token", "id_token", "token", "client_secret", "secret",
	"password", "passwd", "api_key", "apikey",
}

// hidden gives the parameters to be masked by what a body says of them.
func hidden(body []config.Node, otherwise []string) []string {
	n := config.Last(body, "mask_query")
	switch {
	case n == nil:
		return otherwise
	case len(n.Args) == 1 && n.Text(0) == "off":
		return nil
	default:
		return n.Texts(0)
	}
}

// captures reads the `capture` directives of a site.
func captures(body []config.Node, c *flow.Captures) {
	for _, n := range config.Find(body, "capture") {
		if n.Variant == "cookie" {
			c.Cookie = flow.Capture{Place: flow.RequestCookie, Name: n.Text(0), Max: int(n.OptionInt("len"))}
			continue
		}
		for _, o := range config.Find(n.Options, "header") {
			v := flow.Capture{Place: flow.RequestHeader, Name: o.Text(0), Max: int(o.OptionInt("len"))}
			if n.Variant == "response" {
				v.Place = flow.ResponseHeader
				c.Response = append(c.Response, v)
			} else {
				c.Request = append(c.Request, v)
			}
		}
	}
}

// captureWords declares what is kept of headers, and what is not shown of URLs.
func captureWords() []spec.Word {
	length := spec.Word{
		Name: "len", Default: "128", Doc: "How much of it is kept, in bytes.", Example: "len 64",
		Args: []spec.Arg{{Name: "BYTES", Kind: spec.Int, Min: 1, Max: 4096, Doc: "bytes"}},
	}
	header := spec.Word{
		Name: "header", Required: true, Repeat: true, Example: "header Host len 64",
		Doc:     "A header field; of several with the name the last one.",
		Args:    []spec.Arg{{Name: "NAME", Kind: spec.HeaderName, Doc: "the field's name"}},
		Options: []spec.Word{length},
	}
	mask := spec.Word{
		Name: "mask_query", Example: "mask_query access_token session",
		Doc: "Query parameters whose values are logged as ***.",
		Long: "In place of the default: " + strings.Join(Credentials, ", ") + ". Names are compared without regard to case; " +
			"`mask_query off` logs every value. It counts for the request's URL and for captured Referer and Location.",
		Args: []spec.Arg{{Name: "NAME", Kind: spec.String, Variadic: true, Doc: "a parameter's name, or off"}},
	}
	inProcess, inSite := mask, mask
	inProcess.In, inSite.In = spec.InProcess, spec.InHTTPSite
	return []spec.Word{
		{
			Name: "capture", In: spec.InHTTPSite, Repeat: true, Example: "capture request header Host len 64",
			Doc: "Keep a value for the log: httplog shows those of headers in braces.",
			Long: "Values are kept as they came in: of requests before any directive changed them, of answers as the " +
				"server gave them.",
			Variants: []spec.Word{
				{Name: "request", Doc: "Fields of the request's header.", Options: []spec.Word{header}, Example: "request header Host len 64"},
				{Name: "response", Doc: "Fields of the answer's header.", Options: []spec.Word{header}, Example: "response header Content-Type len 32"},
				{
					Name: "cookie", Doc: "The cookie whose name and value stand in httplog's two cookie columns.",
					Args:    []spec.Arg{{Name: "NAME", Kind: spec.String, Doc: "the cookie's whole name"}},
					Options: []spec.Word{length}, Example: "cookie lang len 32",
				},
			},
		},
		inProcess, inSite,
	}
}

// sampling is how much of what went well is written; the zero value is all of it.
type sampling struct{ num, den uint64 }

var errSampling = errors.New("write a part, such as 1/100, or a percentage, such as 5%")

func parseSampling(text string) (sampling, error) {
	left, right, ok := strings.Cut(text, "/")
	if percent, is := strings.CutSuffix(text, "%"); is {
		left, right, ok = percent, "100", true
	}
	num, err := strconv.ParseUint(left, 10, 32)
	den, err2 := strconv.ParseUint(right, 10, 32)
	if !ok || err != nil || err2 != nil || num == 0 || num > den {
		return sampling{}, errSampling
	}
	return sampling{num, den}, nil
}

func (s sampling) sample() *Sample {
	if s.num == s.den {
		return nil
	}
	return &Sample{Num: s.num, Den: s.den}
}
