package handler

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// maxPage bounds the size of an error page's file, in bytes.
const maxPage = 1 << 20

// Error is `error`: the site's page for some statuses.
var Error = Module{
	Spec: errorWord(spec.InHTTPSite, "The body that the site answers errors of its own with",
		"It works for the whole site, wherever it stands, and comes before what the global options say."),
	New: func(n *config.Node, env *Env) (flow.Handler, error) { return nil, env.Errors.Read(n) },
}

// DefaultErrorWord is `error` in the global options; modules/graph reads it.
func DefaultErrorWord() spec.Word {
	return errorWord(spec.InProcess, "The body that sites answer errors of their own with, unless they have one", "")
}

func errorWord(in spec.Where, doc, long string) spec.Word {
	return spec.Word{
		Name: "error", In: in, Repeat: true, Doc: doc,
		Long: strings.TrimSpace("It speaks of answers that Loadstar makes (403 of `deny`, 502, 503, 504…); what servers answer passes untouched. " +
			"Of two pages for one status the later one counts. " + long),
		Example: `error 502-504 "<h1>Back in a minute</h1>"`,
		Args: []spec.Arg{
			{Name: "STATUSES", Kind: spec.Statuses, Doc: "503, 502-504, 5xx, or several with commas"},
			{Name: "BODY", Kind: spec.Template, Optional: true, Doc: "the body; placeholders are escaped for HTML"},
		},
		Options: []spec.Word{
			{Name: "file", Doc: "a file to take the body from, read when the configuration is loaded",
				Args: []spec.Arg{{Name: "PATH", Kind: spec.File, Doc: "relative to the configuration file; 1 MiB at most"}}},
			{Name: "type", Doc: "the body's media type; by default by the file's name, or text/html",
				Args: []spec.Arg{{Name: "TYPE", Kind: spec.String, Doc: "such as application/json"}}},
		},
	}
}

// Read takes up what one `error` says.
func (p *ErrorPages) Read(n *config.Node) error {
	statuses, err := errorStatuses(n.Text(0))
	if err != nil {
		return err
	}
	one, err := newPage(n)
	if err != nil {
		return err
	}
	if p.pages == nil {
		p.pages = make(map[int]*page)
	}
	for _, r := range statuses {
		for s := r.From; s <= r.To; s++ {
			p.pages[s] = one
		}
	}
	return nil
}

// Clone gives pages that begin as these are.
func (p *ErrorPages) Clone() *ErrorPages { return &ErrorPages{pages: maps.Clone(p.pages)} }

func newPage(n *config.Node) (*page, error) {
	file, body := "", n.Text(1)
	if o := n.Option("file"); o != nil && len(o.Args) > 0 {
		file = o.Args[0].Path()
	}
	if (file == "") == (body == "") {
		return nil, errors.New(`error takes either a body or a file: error 503 "<h1>Back soon</h1>", error 503 file down.html`)
	}
	p := &page{contentType: n.OptionText("type")}
	if file == "" {
		if p.contentType == "" {
			p.contentType = "text/html; charset=utf-8"
		}
		p.html = isMarkup(p.contentType)
		t, err := template.Compile(body)
		if err != nil {
			return nil, err
		}
		if s, ok := t.Static(); ok {
			p.body = []byte(s)
		} else {
			p.text = t
		}
		return p, checkValue(p.contentType)
	}
	if p.contentType == "" {
		p.contentType = mediaType(file)
	}
	var err error
	if p.body, err = readPage(file); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(p.body, []byte("HTTP/")) {
		return nil, fmt.Errorf("%s begins with an HTTP head, as HAProxy's error files do; here the file holds the body only", file)
	}
	return p, checkValue(p.contentType)
}

func readPage(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", file)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPage+1))
	if err == nil && len(b) > maxPage {
		err = fmt.Errorf("%s is larger than 1 MiB", file)
	}
	return b, err
}

// isMarkup tells media types in which "<" means something.
func isMarkup(contentType string) bool {
	return strings.Contains(contentType, "html") || strings.Contains(contentType, "xml")
}

func mediaType(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".json":
		return "application/json"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".xml":
		return "application/xml"
	default:
		return "text/html; charset=utf-8"
	}
}

// errorStatuses reads a set of statuses; only those of errors make sense here.
func errorStatuses(text string) ([]spec.StatusRange, error) {
	set, err := spec.ParseStatuses(text)
	if err != nil {
		return nil, err
	}
	for _, r := range set {
		if r.From < 400 {
			return nil, fmt.Errorf("%d is no status of an error: they are 400 to 599", r.From)
		}
	}
	return set, nil
}
