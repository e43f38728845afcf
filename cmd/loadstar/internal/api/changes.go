package api

import (
	"time"

	"github.com/loadstar-lb/loadstar/modules/census"
	"github.com/loadstar-lb/loadstar/modules/overlay"
)

// Order is the body of POST /changes.
type Order struct {
	Kind    overlay.Kind `json:"kind"`
	Pool    string       `json:"pool"`
	Server  string       `json:"server"`
	Address string       `json:"address,omitempty"` // of a server to be added; else, if given, it must be the server's
	Options string       `json:"options,omitempty"` // of a server to be added, as in the file
	Weight  string       `json:"weight,omitempty"`  // "50", or "50%" of the configured one
	Maxconn *int         `json:"maxconn,omitempty"` // 0: no limit
	For     string       `json:"for,omitempty"`     // a duration: the change is taken back after it
	Why     string       `json:"why,omitempty"`
}

// maxFor bounds how long a change may be in force that expires.
const maxFor = 10 * 365 * 24 * time.Hour

func (o *Order) change(by string) (overlay.Change, error) {
	c := overlay.Change{Kind: o.Kind, Pool: o.Pool, Server: o.Server, Address: o.Address, Options: o.Options,
		Weight: o.Weight, Maxconn: o.Maxconn, Why: o.Why, By: by}
	if o.For != "" {
		d, err := time.ParseDuration(o.For)
		if err != nil || d <= 0 || d > maxFor {
			return c, bad("%q is no duration: write 90s, 30m or 12h", clip(o.For))
		}
		c.Expires = time.Now().Add(d).Round(0)
	}
	return c, nil
}

func change(c *call) (any, error) {
	var o Order
	if err := decode(c.Body, &o); err != nil {
		return nil, err
	}
	if o.Kind == overlay.Clear {
		return nil, bad("changes are taken back by DELETE /changes")
	}
	order, err := o.change(c.by())
	if err != nil {
		return nil, err
	}
	if err := c.p.Change(c.Context(), order, c.Header.Get("If-Match")); err != nil {
		return nil, err
	}
	if s, err := find(c, o.Pool, o.Server); err == nil {
		return s, nil
	}
	return (*census.Server)(nil), nil // it was removed
}

func changes(c *call) (any, error) {
	all, lines := c.p.Changes()
	return Changes{all, lines}, nil
}

func clearChanges(c *call) (any, error) {
	q := c.URL.Query()
	order := overlay.Change{Kind: overlay.Clear, Pool: q.Get("pool"), Server: q.Get("server"), By: c.by()}
	if err := c.p.Change(c.Context(), order, c.Header.Get("If-Match")); err != nil {
		return nil, err
	}
	return changes(c)
}

func pools(c *call) (any, error) {
	if all := c.p.Census().Pools; all != nil {
		return all, nil
	}
	return []census.Pool{}, nil
}

func pool(c *call) (any, error) { return findPool(c, c.PathValue("pool")) }

func findPool(c *call, name string) (*census.Pool, error) {
	all := c.p.Census().Pools
	var names []string
	for i := range all {
		if all[i].Name == name {
			return &all[i], nil
		}
		names = append(names, all[i].Name)
	}
	return nil, missing("pool", name, names)
}

func servers(c *call) (any, error) {
	out := []census.Server{}
	for _, p := range c.p.Census().Pools {
		if only := c.URL.Query().Get("pool"); only == "" || only == p.Name {
			out = append(out, p.Servers...)
		}
	}
	return out, nil
}

func server(c *call) (any, error) {
	return find(c, c.PathValue("pool"), c.PathValue("server"))
}

func find(c *call, pool, server string) (*census.Server, error) {
	p, err := findPool(c, pool)
	if err != nil {
		return nil, err
	}
	var names []string
	for i := range p.Servers {
		if p.Servers[i].Name == server {
			return &p.Servers[i], nil
		}
		names = append(names, p.Servers[i].Name)
	}
	return nil, missing("server", server, names)
}
