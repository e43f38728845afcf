package stats

import (
	"encoding/json"
	"hash/maphash"
	"slices"
)

// Live tells a page that is open what has changed, as server-sent events (HTML
// §9.2): "page" with the whole list, "rows" with those rows that look different.
type Live struct {
	Page *Page
	seed maphash.Seed
	seen map[string]uint64 // how a row looked
	list []string          // their order
}

// NewLive begins with nothing told.
func NewLive(p *Page) *Live { return &Live{Page: p, seed: maphash.MakeSeed()} }

// Append appends the events that bring the page from what was told last to s. It
// may be a comment only, which keeps the connection from looking dead.
func (l *Live) Append(b []byte, s *Snapshot) []byte {
	chosen := s.choose(l.Page.View)
	list := make([]string, 0, len(l.list)+8)
	changed := map[string]string{}
	next := make(map[string]uint64, len(l.seen))
	note := func(id string, html []byte) {
		sum := maphash.Bytes(l.seed, html)
		list = append(list, id)
		if next[id] = sum; l.seen[id] != sum {
			changed[id] = string(html)
		}
	}
	note("tiles", s.appendTiles(nil))
	if chosen.page == 1 {
		for _, r := range chosen.sites {
			note(RowID(r), l.Page.cells(nil, r))
		}
	}
	for _, p := range chosen.pools {
		for _, r := range p.servers {
			note(RowID(r), l.Page.cells(nil, r))
		}
		note(RowID(p.total), l.Page.cells(nil, p.total))
	}
	same := slices.Equal(list, l.list)
	l.seen, l.list = next, list
	switch {
	case !same:
		return event(b, "page", string(s.AppendList(nil, l.Page)))
	case len(changed) > 0:
		return event(b, "rows", changed)
	}
	return append(b, ": nothing new\n\n"...)
}

// event appends one event; JSON keeps its data in one line.
func event(b []byte, name string, v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return b
	}
	b = append(append(b, "event: "+name+"\ndata: "...), data...)
	return append(b, "\n\n"...)
}
