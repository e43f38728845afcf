package overlay

import (
	"slices"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

const serverWord = "server"

// Merge gives the configuration with the servers that were added, without those
// that were removed, and with those enabled that were made ready. cfg is not
// changed; what is not concerned is shared with it. What the file says goes
// before what was added: a server that it has by that name is the file's.
func (s *Set) Merge(cfg *config.Config) *config.Config {
	byPool := map[string][]*kept{}
	for i := range s.kept {
		if c := &s.kept[i]; c.structural() {
			byPool[c.Pool] = append(byPool[c.Pool], c)
		}
	}
	if len(byPool) == 0 {
		return cfg
	}
	out := *cfg
	out.Pools = slices.Clone(cfg.Pools)
	for i := range out.Pools {
		if changes := byPool[out.Pools[i].Name]; changes != nil {
			out.Pools[i].Body = mergePool(&out.Pools[i], changes)
		}
	}
	return &out
}

func mergePool(p *config.Pool, changes []*kept) []config.Node {
	body := slices.Clone(p.Body)
	for _, c := range changes {
		at := indexOf(body, c.key())
		switch {
		case c.Kind == Remove && at >= 0:
			body = slices.Delete(body, at, at+1)
		case c.Kind == Ready && at >= 0:
			body[at].Options = slices.DeleteFunc(slices.Clone(body[at].Options), func(o config.Node) bool { return o.Word == "disabled" })
		}
	}
	for _, c := range changes { // what is removed gives its name to what is added
		if c.Kind == Add && c.node != nil && !hasName(body, c.Server) {
			body = append(body, *c.node)
		}
	}
	return body
}

// indexOf finds a server by name and address, -1 if it is not there.
func indexOf(body []config.Node, k upstream.Key) int {
	return slices.IndexFunc(body, func(n config.Node) bool {
		return n.Word == serverWord && n.Text(0) == k.Name && n.Text(1) == k.Address
	})
}

func hasName(body []config.Node, name string) bool {
	return slices.ContainsFunc(body, func(n config.Node) bool { return n.Word == serverWord && n.Text(0) == name })
}

// poolOf finds a pool by name, nil if there is none.
func poolOf(cfg *config.Config, name string) *config.Pool {
	for i := range cfg.Pools {
		if cfg.Pools[i].Name == name {
			return &cfg.Pools[i]
		}
	}
	return nil
}

// serverOf finds a server of a pool by name, nil if there is none.
func serverOf(p *config.Pool, name string) *config.Node {
	for _, n := range config.Find(p.Body, serverWord) {
		if n.Text(0) == name {
			return n
		}
	}
	return nil
}
