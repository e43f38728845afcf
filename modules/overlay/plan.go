package overlay

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Bounds of what a change may say beside its kind.
const (
	maxText    = 200 // bytes of By and Why
	maxOptions = 4096
	maxName    = 128
)

// plan validates a change, fills in the server's address, and gives the Set that
// it leads to.
func (o *Overlay) plan(c *Change) (*Set, *Refusal) {
	set, base := o.set.Load(), o.base.Load()
	if base == nil {
		return nil, &Refusal{Reason: Conflict, Message: "no configuration is in force"}
	}
	if r := c.plain(); r != nil {
		return nil, r
	}
	if c.Kind == Clear {
		return o.planClear(set, c)
	}
	merged := set.Merge(base)
	p := poolOf(merged, c.Pool)
	if p == nil {
		return nil, unknown("pool", c.Pool, poolNames(merged))
	}
	if c.Kind == Add {
		return o.planAdd(set, p, c)
	}
	n := serverOf(p, c.Server)
	if n == nil {
		r := unknown("server", c.Server, serverNames(p))
		r.Message += " in pool " + c.Pool
		return nil, r
	}
	if c.Address != "" && c.Address != n.Text(1) {
		return nil, &Refusal{Reason: Conflict, Message: fmt.Sprintf("server %s/%s is at %s, not at %s", c.Pool, c.Server, n.Text(1), clip(c.Address))}
	}
	c.Address = n.Text(1)
	k := c.key()
	switch {
	case c.Kind == Ready && !disabledIn(base, k):
		return set.without(func(o *kept) bool { return o.key() == k && o.Kind.aspect() == state }), nil
	case c.Kind == Weight && c.Weight == "100%":
		return set.without(func(o *kept) bool { return o.key() == k && o.Kind == Weight }), nil
	case c.Kind == Remove && indexIn(base, k) < 0: // added at run time: nothing is left of it
		return set.without(func(o *kept) bool { return o.key() == k }), nil
	}
	return bounded(set.with(kept{Change: *c}))
}

func bounded(s *Set) (*Set, *Refusal) {
	if len(s.kept) > maxChanges {
		return nil, &Refusal{Reason: Conflict, Message: fmt.Sprintf("%d changes are kept already", maxChanges),
			Help: []string{"put them into the file, and clear them"}}
	}
	return s, nil
}

// planAdd adds a server.
func (o *Overlay) planAdd(set *Set, p *config.Pool, c *Change) (*Set, *Refusal) {
	if n := serverOf(p, c.Server); n != nil {
		return nil, &Refusal{Reason: Conflict, Message: fmt.Sprintf("pool %s has a server %s already, at %s", c.Pool, quote(c.Server), n.Text(1))}
	}
	if was := set.find(c.key(), presence); was != nil && was.Kind == Remove {
		return nil, &Refusal{Reason: Conflict, Message: fmt.Sprintf("server %s/%s stands in the file and was removed at run time", c.Pool, c.Server),
			Help: []string{"clear the changes of the server to have it again"}}
	}
	n, r := o.parse(c)
	if r != nil {
		return nil, r
	}
	return bounded(set.with(kept{Change: *c, node: n}))
}

// parse checks the line of an added server. It must be exactly that: what could
// begin another directive is refused.
func (o *Overlay) parse(c *Change) (*config.Node, *Refusal) {
	line := strings.TrimRight("server "+c.Server+" "+c.Address+" "+c.Options, " ")
	n, found := o.deps.Parse(line)
	if found.HasErrors() {
		return nil, &Refusal{Reason: Invalid, Message: "the server is not valid: `" + clip(line) + "`", Diagnostics: found}
	}
	if n == nil || n.Text(0) != c.Server || n.Text(1) != c.Address {
		return nil, &Refusal{Reason: Invalid, Message: "`" + clip(line) + "` is not one server"}
	}
	return n, nil
}

// planClear takes changes back.
func (o *Overlay) planClear(set *Set, c *Change) (*Set, *Refusal) {
	hit := func(k *kept) bool {
		return (c.Pool == "" || c.Pool == k.Pool) && (c.Server == "" || c.Server == k.Server) && (c.Address == "" || c.Address == k.Address)
	}
	n := 0
	for i := range set.kept {
		if hit(&set.kept[i]) {
			n++
		}
	}
	if n == 0 && c.Pool != "" {
		return nil, &Refusal{Reason: NotFound, Message: "nothing was changed at " + strings.TrimSuffix(c.Pool+"/"+c.Server, "/")}
	}
	return set.without(hit), nil
}

// plain checks what can be said of a change without a configuration.
func (c *Change) plain() *Refusal {
	invalid := func(format string, args ...any) *Refusal {
		return &Refusal{Reason: Invalid, Message: fmt.Sprintf(format, args...)}
	}
	kinds := make([]string, 0, len(Kinds()))
	known := false
	for _, k := range Kinds() {
		kinds = append(kinds, string(k))
		known = known || k == c.Kind
	}
	switch {
	case !known:
		r := unknown("change", string(c.Kind), kinds)
		r.Reason = Invalid
		return r
	case c.Kind != Clear && (c.Pool == "" || c.Server == ""):
		return invalid("%s needs a pool and a server", c.Kind)
	case c.Pool == "" && c.Server != "":
		return invalid("a server needs its pool")
	case len(c.By) > maxText || len(c.Why) > maxText || !printable(c.By) || !printable(c.Why):
		return invalid("by and why take %d bytes of printable text", maxText)
	case c.Kind != Add && c.Options != "":
		return invalid("%s takes no options", c.Kind)
	case (c.Kind == Weight) != (c.Weight != ""):
		return invalid("a weight belongs to %s, and to nothing else", Weight)
	case (c.Kind == Maxconn) != (c.Maxconn != nil):
		return invalid("a maxconn belongs to %s, and to nothing else", Maxconn)
	case c.Maxconn != nil && (*c.Maxconn < 0 || *c.Maxconn >= math.MaxInt32):
		return invalid("%d is no maxconn: write 0 (no limit) to %d", *c.Maxconn, math.MaxInt32-1)
	case !c.Expires.IsZero() && (c.Kind == Clear || c.Kind == Shut):
		return invalid("%s does not expire", c.Kind)
	case !c.Expires.IsZero() && !c.Expires.After(time.Now()):
		return invalid("the change would have expired already")
	}
	if c.Kind == Weight {
		if _, err := ParseWeight(c.Weight); err != nil {
			return invalid("%v", err)
		}
	}
	if c.Kind == Add {
		return c.plainAdd()
	}
	return nil
}

// plainAdd checks that name, address and options are words, so that the line that
// is made of them is one line.
func (c *Change) plainAdd() *Refusal {
	invalid := func(message string) *Refusal { return &Refusal{Reason: Invalid, Message: message} }
	const meta = " \t\"'`{}#\\"
	switch {
	case len(c.Server) > maxName || !printable(c.Server) || strings.ContainsAny(c.Server, meta+"/"):
		return invalid(quote(c.Server) + " is no name for a server: use letters, digits, _, - and .")
	case c.Address == "":
		return invalid("a server needs its address: host:port, or unix//path")
	case len(c.Address) > maxText || !printable(c.Address) || strings.ContainsAny(c.Address, meta):
		return invalid(quote(c.Address) + " is no address: write host:port, or unix//path")
	case len(c.Options) > maxOptions || !printable(c.Options):
		return invalid("the options of a server stand in one line")
	}
	return nil
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
}

func poolNames(cfg *config.Config) []string {
	out := make([]string, 0, len(cfg.Pools))
	for i := range cfg.Pools {
		out = append(out, cfg.Pools[i].Name)
	}
	return out
}

func serverNames(p *config.Pool) []string {
	var out []string
	for _, n := range config.Find(p.Body, serverWord) {
		out = append(out, n.Text(0))
	}
	return out
}

func indexIn(cfg *config.Config, k upstream.Key) int {
	p := poolOf(cfg, k.Pool)
	if p == nil {
		return -1
	}
	return indexOf(p.Body, k)
}

func disabledIn(cfg *config.Config, k upstream.Key) bool {
	i := indexIn(cfg, k)
	return i >= 0 && poolOf(cfg, k.Pool).Body[i].Has("disabled")
}
