package api

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// Config is a configuration with its texts.
type Config struct {
	history.Entry
	Files []history.File `json:"files"` // its own first
}

// History is what was in force, the newest first.
type History struct {
	Entries []history.Entry  `json:"entries"`
	Pending *history.Pending `json:"pending,omitempty"` // waits to be confirmed
}

// Loaded tells what became of a load.
type Loaded struct {
	OK          bool             `json:"ok"`
	DryRun      bool             `json:"dry_run,omitempty"` // nothing was changed
	Generation  uint64           `json:"generation"`        // in force now
	Number      uint64           `json:"number,omitempty"`  // in the history
	Pending     *history.Pending `json:"pending,omitempty"` // it waits to be confirmed
	Diagnostics diag.List        `json:"diagnostics"`
}

func config(c *call) (any, error) {
	e, ok := c.p.History().Current()
	if !ok {
		return nil, &Problem{code: http.StatusNotFound, Message: "no configuration is in force"}
	}
	return Config{e, e.Files}, nil
}

func source(c *call) (any, error) {
	e, ok := c.p.History().Current()
	if !ok {
		return nil, &Problem{code: http.StatusNotFound, Message: "no configuration is in force"}
	}
	return text(e.Text()), nil
}

func outline(c *call) (any, error) {
	o, err := c.p.Outline()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	switch format := c.URL.Query().Get("format"); format {
	case "", "json":
		return o, nil
	case "text":
		err = o.Text(&b)
	case "dot":
		err = o.DOT(&b)
	case "svg":
		if err = o.SVG(&b); err == nil {
			c.w.Header().Set("Content-Type", "image/svg+xml")
			_, _ = c.w.Write(b.Bytes())
			return served{}, nil
		}
	default:
		err = bad("the format is json, text, dot or svg, not %q", clip(format))
	}
	return text(b.String()), err
}

func listHistory(c *call) (any, error) {
	h := History{Entries: c.p.History().List()}
	if h.Entries == nil {
		h.Entries = []history.Entry{}
	}
	if p, ok := c.p.Pending(); ok {
		h.Pending = &p
	}
	return h, nil
}

// entry finds a configuration of the history.
func (c *call) entry(number string) (history.Entry, error) {
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return history.Entry{}, bad("%q is no number of a configuration", clip(number))
	}
	e, ok := c.p.History().Get(n)
	if !ok {
		return e, &Problem{code: http.StatusNotFound, Message: fmt.Sprintf("configuration %d is not in the history", n),
			Help: []string{"GET /history lists what is"}}
	}
	return e, nil
}

func historyEntry(c *call) (any, error) {
	e, err := c.entry(c.PathValue("number"))
	if err != nil {
		return nil, err
	}
	return Config{e, e.Files}, nil
}

func historyDiff(c *call) (any, error) {
	to, err := c.entry(c.PathValue("number"))
	if err != nil {
		return nil, err
	}
	from := history.Entry{}
	if n := c.URL.Query().Get("from"); n != "" {
		if from, err = c.entry(n); err != nil {
			return nil, err
		}
	} else {
		for _, e := range c.p.History().List() { // the newest first
			if e.Number < to.Number {
				from = e
				break
			}
		}
	}
	return text(history.Diff(&from, &to)), nil
}

// order reads what all loads have in common.
func (c *call) order() (Load, error) {
	q := c.URL.Query()
	o := Load{By: c.by(), IfMatch: c.Header.Get("If-Match")}
	switch s := q.Get("dry_run"); s {
	case "", "false", "0":
	case "true", "1":
		o.Dry = true
	default:
		return o, bad("dry_run is true or false, not %q", clip(s))
	}
	if s := q.Get("confirm"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil || d < history.MinConfirm || d > history.MaxConfirm {
			return o, bad("%q is no time to wait for a confirmation: write %s to %s", clip(s), history.MinConfirm, history.MaxConfirm)
		}
		o.Confirm = d
	}
	return o, nil
}

func loadText(c *call) (any, error) {
	o, err := c.order()
	if err != nil {
		return nil, err
	}
	src, err := io.ReadAll(c.Body)
	if err != nil {
		return nil, err
	}
	if len(src) > syntax.MaxSize {
		return nil, &Problem{code: http.StatusRequestEntityTooLarge, Message: fmt.Sprintf("the configuration is larger than %d bytes", syntax.MaxSize)}
	}
	if o.Src, o.Name = src, c.URL.Query().Get("name"); o.Name == "" {
		o.Name = "admin:/load"
	}
	return c.load(o)
}

func reload(c *call) (any, error) {
	o, err := c.order()
	if err != nil {
		return nil, err
	}
	return c.load(o)
}

func rollback(c *call) (any, error) {
	o, err := c.order()
	if err != nil {
		return nil, err
	}
	var e history.Entry
	p, waits := c.p.Pending()
	switch to := c.URL.Query().Get("to"); {
	case to != "":
		e, err = c.entry(to)
	case waits:
		e, err = c.entry(strconv.FormatUint(p.BackTo, 10))
	default:
		// Who rolls back what has just gone back by itself must not have it again.
		if now, ok := c.p.History().Current(); ok && now.BackFrom > 0 {
			return nil, &Problem{code: http.StatusConflict, Message: fmt.Sprintf("configuration %d was not confirmed, and has gone back already", now.BackFrom),
				Help: []string{"say which one is wanted by its number: GET /history lists them"}}
		}
		var ok bool
		if e, ok = c.p.History().Previous(); !ok {
			err = &Problem{code: http.StatusNotFound, Message: "there is no configuration before the one in force"}
		}
	}
	if err != nil {
		return nil, err
	}
	o.Entry = &e
	return c.load(o)
}

// load carries out an order, and answers as JSON, or as text for who does not
// accept that.
func (c *call) load(o Load) (any, error) {
	got := c.p.Load(c.Context(), o)
	if got.Err != nil {
		return nil, got.Err
	}
	code := http.StatusOK
	if !got.OK() {
		code = http.StatusUnprocessableEntity
	}
	c.w.Header().Set("ETag", c.p.Tag())
	if accept := c.Header.Get("Accept"); strings.Contains(accept, "application/json") {
		v := Loaded{OK: got.OK(), DryRun: o.Dry, Generation: got.Generation, Number: got.Number, Diagnostics: got.Diagnostics}
		if v.Diagnostics == nil {
			v.Diagnostics = diag.List{}
		}
		if p, ok := c.p.Pending(); ok {
			v.Pending = &p
		}
		writeJSON(c.w, code, v)
		return served{}, nil
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.WriteHeader(code)
	_ = diag.Render(c.w, got.Diagnostics, got.Sources, diag.Style{})
	switch {
	case !got.OK():
	case o.Dry:
		fmt.Fprintln(c.w, "the configuration is valid; nothing was changed")
	default:
		fmt.Fprintf(c.w, "generation %d is in force\n", got.Generation)
	}
	return served{}, nil
}

func confirm(c *call) (any, error) { return c.p.Confirm() }

func upgrade(c *call) (any, error) {
	pid, err := c.p.Upgrade(c.Context())
	if err != nil {
		return nil, &Problem{code: http.StatusConflict, Message: err.Error()}
	}
	return text(fmt.Sprintf("process %d has taken over\n", pid)), nil
}
