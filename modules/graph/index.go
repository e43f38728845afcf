package graph

import (
	"bytes"
	"slices"
	"strings"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// index finds the routes that could match a request, by a condition that each
// route's expression cannot be true without (see index_keys.go). It may give
// routes that do not match, never leave out one that does.
type index struct {
	always   []int32 // routes without such a condition
	path     map[string][]int32
	host     map[string][]int32
	suffix   map[string][]int32 // ".example.com"
	prefixes []pathPrefix       // in order
}

// pathPrefix is a path prefix with its routes; parent is the longest other
// prefix that it begins with, -1 if there is none.
type pathPrefix struct {
	text   string
	parent int32
	routes []int32
}

func newIndex(routes []Route) *index {
	options := make([][][]key, len(routes))
	uses := make(map[key]int)
	for i := range routes {
		if routes[i].Matcher == nil || routes[i].When == nil {
			continue
		}
		options[i] = necessary(routes[i].When)
		for _, o := range options[i] {
			for _, k := range o {
				uses[k]++
			}
		}
	}
	ix := &index{path: map[string][]int32{}, host: map[string][]int32{}, suffix: map[string][]int32{}}
	prefixes := map[string][]int32{}
	for i := range routes {
		keys := rarest(options[i], uses)
		if keys == nil {
			ix.always = append(ix.always, int32(i))
		}
		for _, k := range keys {
			table := [...]map[string][]int32{pathIs: ix.path, pathBegins: prefixes, hostIs: ix.host, hostEnds: ix.suffix}[k.kind]
			if l := table[k.text]; len(l) == 0 || l[len(l)-1] != int32(i) {
				table[k.text] = append(l, int32(i))
			}
		}
	}
	ix.sortPrefixes(prefixes)
	return ix
}

// rarest chooses the alternative that the fewest routes share.
func rarest(options [][]key, uses map[key]int) []key {
	var best []key
	least := 0
	for _, o := range options {
		n := 0
		for _, k := range o {
			n += uses[k]
		}
		if best == nil || n < least {
			best, least = o, n
		}
	}
	return best
}

func (ix *index) sortPrefixes(prefixes map[string][]int32) {
	for text, routes := range prefixes {
		ix.prefixes = append(ix.prefixes, pathPrefix{text: text, parent: -1, routes: routes})
	}
	slices.SortFunc(ix.prefixes, func(a, b pathPrefix) int { return strings.Compare(a.text, b.text) })
	for i := 1; i < len(ix.prefixes); i++ {
		// The parent is the prefix before, or one of that one's parents.
		p := int32(i - 1)
		for p >= 0 && !strings.HasPrefix(ix.prefixes[i].text, ix.prefixes[p].text) {
			p = ix.prefixes[p].parent
		}
		ix.prefixes[i].parent = p
	}
}

// candidates merges lists of route numbers, smallest first, each number once.
type candidates struct {
	lists [maxLists][]int32
	n     int
	last  int32
}

// maxLists bounds the lists of one request: one for the path, one for the
// host, one for what is always tried, and one a prefix and a suffix that apply.
const maxLists = 16

// find gathers the candidates from route number from on; false if there are
// more lists than fit.
func (ix *index) find(c *candidates, x *flow.Exchange, from int32) bool {
	c.n, c.last = 0, -1
	ok := c.add(ix.always, from) && c.add(ix.path[string(x.Req.Path)], from)
	host := x.Req.Host
	ok = ok && c.add(ix.host[string(host)], from)
	if len(ix.suffix) > 0 {
		for rest := host; ok; rest = rest[1:] {
			i := bytes.IndexByte(rest, '.')
			if i < 0 {
				break
			}
			rest = rest[i:]
			ok = c.add(ix.suffix[string(rest)], from)
		}
	}
	if !ok || len(ix.prefixes) == 0 {
		return ok
	}
	// The last prefix that does not sort behind the path begins with the
	// longest one that applies, so following parents meets all that do.
	path := x.Req.Path
	for p := ix.lastNotBehind(path); p >= 0 && ok; p = ix.prefixes[p].parent {
		if e := &ix.prefixes[p]; len(path) >= len(e.text) && string(path[:len(e.text)]) == e.text {
			ok = c.add(e.routes, from)
		}
	}
	return ok
}

// lastNotBehind gives the place of the last prefix that does not sort behind
// the path, -1 if all do.
func (ix *index) lastNotBehind(path []byte) int32 {
	lo, hi := 0, len(ix.prefixes)
	for lo < hi {
		if mid := (lo + hi) / 2; ix.prefixes[mid].text > string(path) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return int32(lo) - 1
}

func (c *candidates) add(list []int32, from int32) bool {
	if from > 0 {
		i, _ := slices.BinarySearch(list, from)
		list = list[i:]
	}
	if len(list) == 0 {
		return true
	}
	if c.n == maxLists {
		return false
	}
	c.lists[c.n] = list
	c.n++
	return true
}

// next gives the smallest route number that has not been given yet.
func (c *candidates) next() (int, bool) {
	for c.n > 0 {
		least := 0
		for i := 1; i < c.n; i++ {
			if c.lists[i][0] < c.lists[least][0] {
				least = i
			}
		}
		v := c.lists[least][0]
		if c.lists[least] = c.lists[least][1:]; len(c.lists[least]) == 0 {
			c.n--
			c.lists[least] = c.lists[c.n]
		}
		if v != c.last {
			c.last = v
			return int(v), true
		}
	}
	return 0, false
}
