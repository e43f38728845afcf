package api

import (
	"cmp"
	"slices"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/persistence"
)

// Table is a table of persistence.
type Table struct {
	Name    string  `json:"name"` // "pool:NAME" where `persist source` made it
	Type    string  `json:"type"` // ip or string
	Size    int     `json:"size"` // entries at most
	Used    int     `json:"used"`
	Seconds float64 `json:"expire_seconds"` // without use; 0: never
}

// Entries are those of a table.
type Entries struct {
	Table   Table   `json:"table"`
	Entries []Entry `json:"entries"`
	All     int     `json:"all"` // how many there are of those that were asked for
}

// Entry is one.
type Entry struct {
	Key    string  `json:"key"`
	Server string  `json:"server"`
	Idle   float64 `json:"idle_seconds"`
	Left   float64 `json:"left_seconds"` // -1: for ever
}

func tableOf(k persistence.TableKey, t *persistence.Table) Table {
	size, expire := t.Limits()
	return Table{Name: k.Name, Type: string(k.Type), Size: size, Used: t.Len(), Seconds: expire.Seconds()}
}

func tables(c *call) (any, error) {
	out := []Table{}
	c.p.EachTable(func(k persistence.TableKey, t *persistence.Table) { out = append(out, tableOf(k, t)) })
	slices.SortFunc(out, func(a, b Table) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func (c *call) table() (key persistence.TableKey, t *persistence.Table, err error) {
	name := c.PathValue("table")
	var names []string
	c.p.EachTable(func(k persistence.TableKey, v *persistence.Table) {
		if names = append(names, k.Name); k.Name == name {
			key, t = k, v
		}
	})
	if t == nil {
		return key, nil, missing("table", name, names)
	}
	return key, t, nil
}

func entries(c *call) (any, error) {
	most, err := limit(c)
	if err != nil {
		return nil, err
	}
	k, t, err := c.table()
	if err != nil {
		return nil, err
	}
	key, server := c.URL.Query().Get("key"), c.URL.Query().Get("server")
	found, all := t.Entries(k.Type, flow.Now(), most, func(e persistence.EntryInfo) bool {
		return (key == "" || e.Key == key) && (server == "" || e.Server == server)
	})
	out := Entries{Table: tableOf(k, t), Entries: []Entry{}, All: all}
	for _, e := range found {
		v := Entry{Key: e.Key, Server: e.Server, Idle: e.Idle.Seconds(), Left: -1}
		if e.Left >= 0 {
			v.Left = e.Left.Seconds()
		}
		out.Entries = append(out.Entries, v)
	}
	slices.SortFunc(out.Entries, func(a, b Entry) int { return cmp.Or(cmp.Compare(a.Idle, b.Idle), cmp.Compare(a.Key, b.Key)) })
	return out, nil
}

func clearEntries(c *call) (any, error) {
	k, t, err := c.table()
	if err != nil {
		return nil, err
	}
	key, server := c.URL.Query().Get("key"), c.URL.Query().Get("server")
	return Count{t.Clear(k.Type, func(k, s string) bool {
		return (key == "" || k == key) && (server == "" || s == server)
	})}, nil
}
