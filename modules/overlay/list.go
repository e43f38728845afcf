package overlay

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Listed is a change that is kept, and what has become of it.
type Listed struct {
	Change
	// InForce tells whether the change has an effect now.
	InForce bool `json:"in_force"`
	// Note tells why it has none: the file says so already, or has no such
	// server.
	Note string `json:"note,omitempty"`
}

// List implements Control: by pool and server, the oldest first.
func (o *Overlay) List() []Listed {
	set, base := o.set.Load(), o.base.Load()
	out := make([]Listed, 0, len(set.kept))
	var merged *config.Config
	if base != nil {
		merged = set.Merge(base)
	}
	for i := range set.kept {
		k := &set.kept[i]
		l := Listed{Change: k.Change}
		if base != nil {
			l.Note = note(k, base, merged)
		}
		l.InForce = base != nil && l.Note == ""
		out = append(out, l)
	}
	slices.SortStableFunc(out, func(a, b Listed) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Server, b.Server))
	})
	return out
}

// note tells why a change has no effect, "" if it has.
func note(k *kept, base, merged *config.Config) string {
	p := poolOf(base, k.Pool)
	if p == nil {
		return "there is no such pool now"
	}
	there := indexOf(p.Body, k.key()) >= 0
	switch {
	case k.Kind == Add && there:
		return "stands in the file now"
	case k.Kind == Add && indexIn(merged, k.key()) < 0:
		return "the file has another server of that name"
	case k.Kind == Add:
		return ""
	case k.Kind == Remove && !there:
		return "is not in the file any more"
	case indexIn(merged, k.key()) < 0 && k.Kind != Remove:
		return "there is no such server now"
	case k.Kind == Ready && !disabledIn(base, k.key()):
		return "is not disabled in the file any more"
	}
	return ""
}

// PoolLines is what would make the changes of a pool permanent.
type PoolLines struct {
	Pool  string   `json:"pool"`
	Lines []string `json:"lines"`
}

// Lines gives the lines that would make the changes permanent: each changed server's, as it
// is to stand in its pool, and those to be taken out as comments.
func (o *Overlay) Lines() []PoolLines {
	set, base := o.set.Load(), o.base.Load()
	if base == nil {
		return []PoolLines{}
	}
	merged := set.Merge(base)
	out := []PoolLines{}
	seen := map[upstream.Key]bool{}
	for _, l := range o.List() {
		k := l.key()
		if !l.InForce || seen[k] {
			continue
		}
		seen[k] = true
		if len(out) == 0 || out[len(out)-1].Pool != l.Pool {
			out = append(out, PoolLines{Pool: l.Pool})
		}
		p := &out[len(out)-1]
		i := indexIn(merged, k)
		if i < 0 {
			p.Lines = append(p.Lines, fmt.Sprintf("# take out: server %s %s", l.Server, l.Address))
			continue
		}
		p.Lines = append(p.Lines, line(&poolOf(merged, l.Pool).Body[i], set.Order(k)))
	}
	return out
}

// line writes a server as it is to stand in the file.
func line(n *config.Node, o upstream.Order) string {
	words := []string{n.Word, word(n.Text(0)), word(n.Text(1))}
	given := func(name string) *config.Node {
		if opt := n.Option(name); opt != nil && !opt.Defaulted {
			return opt
		}
		return nil
	}
	w, set := o.Weight.Of(int(n.OptionInt("weight"))), o.Weight.Set || given("weight") != nil
	if o.Admin == upstream.Drain {
		w, set = 0, true
	}
	if set {
		words = append(words, "weight", strconv.Itoa(w))
	}
	if o.Maxconn > 0 {
		words = append(words, "maxconn", strconv.Itoa(o.Maxconn-1))
	}
	for i := range n.Options {
		opt := &n.Options[i]
		if opt.Defaulted || opt.Word == "weight" || opt.Word == "maxconn" && o.Maxconn > 0 {
			continue
		}
		words = appendOption(words, opt)
	}
	if o.Admin == upstream.Maint && given("disabled") == nil {
		words = append(words, "disabled")
	}
	return strings.Join(words, " ")
}

// appendOption writes an option with its values and its own options.
func appendOption(words []string, n *config.Node) []string {
	words = append(words, n.Word)
	if n.Variant != "" {
		words = append(words, n.Variant)
	}
	for _, a := range n.Args {
		if a.Text != "" {
			words = append(words, word(a.Text))
		}
	}
	for i := range n.Options {
		if !n.Options[i].Defaulted {
			words = appendOption(words, &n.Options[i])
		}
	}
	return words
}

// word quotes what would not be read as one word.
func word(s string) string {
	if s == "" || strings.ContainsAny(s, " \t\"'`{}#\\") {
		return strconv.Quote(s)
	}
	return s
}
