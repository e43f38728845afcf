package handler

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	Spec: spec.Word{
		Name: "error", In: spec.InHTTPSite, Repeat: true,
		Doc: "The body that the site answers errors of its own with",
		Long: "It speaks of answers that Loadstar makes (403 of `deny`, 502, 503, 504…); what servers answer passes untouched. " +
			"Of two pages for one status the later one counts. It works for the whole site, wherever it stands.",
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
	},
	New: func(n *config.Node, env *Env) (flow.Handler, error) {
		statuses, err := errorStatuses(n.Text(0))
		if err != nil {
			return nil, err
		}
		p, err := newPage(n)
		if err != nil {
			return nil, err
		}
		if env.Errors.pages == nil {
			env.Errors.pages = make(map[int]*page)
		}
		for _, r := range statuses {
			for s := r.From; s <= r.To; s++ {
				env.Errors.pages[s] = p
			}
		}
		return nil, nil
	},
}

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
