package runtime

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl"
	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Overlay gives what was changed at run time, and takes further changes.
func (r *Runtime) Overlay() *overlay.Overlay { return r.overlay }

func newOverlay(r *Runtime) *overlay.Overlay {
	vocabulary := r.set.Vocabulary()
	return overlay.New(overlay.Deps{
		Each: r.EachServer, Rebuild: r.rebuild, Log: r.log,
		Shut: func(k upstream.Key) int {
			return upstream.ShutFlights(func(f upstream.FlightInfo) bool { return f.Server.Key == k })
		},
		Parse: func(line string) (*config.Node, diag.List) {
			return parseServer(line, dsl.Options{Vocabulary: vocabulary})
		},
	})
}

// rebuild puts the configuration in force again, with other changes.
func (r *Runtime) rebuild(next *overlay.Set, store func()) diag.List {
	r.applying.Lock()
	defer r.applying.Unlock()
	_, found := r.apply(next.Merge(r.base), next)
	if !found.HasErrors() {
		store()
		r.overlay.Adopt(r.base)
	}
	return found
}

// addedFile is what diagnostics call the line of an added server.
const addedFile = "server line"

// parseServer checks one `server` line by itself. It gives nil without errors if
// the line is something else, too.
func parseServer(line string, opt dsl.Options) (*config.Node, diag.List) {
	const head = "pool p {\n"
	cfg, _, found := dsl.Load(addedFile, []byte(head+line+"\n}\n"), opt)
	var kept diag.List
	for _, d := range found {
		if d.Severity == diag.Error { // what a lone pool is warned of says nothing here
			d.Range = ontoLine(d.Range, head)
			for i := range d.Labels {
				d.Labels[i].Range = ontoLine(d.Labels[i].Range, head)
			}
			d.Fixes = nil
			kept = append(kept, d)
		}
	}
	if kept.HasErrors() {
		return nil, kept
	}
	if len(cfg.Pools) != 1 || len(cfg.Sites) > 0 || len(cfg.Tables) > 0 || len(cfg.Tests) > 0 {
		return nil, nil
	}
	var server *config.Node
	for i := range cfg.Pools[0].Body {
		switch n := &cfg.Pools[0].Body[i]; {
		case n.Defaulted:
		case n.Word != "server" || server != nil:
			return nil, nil
		default:
			server = n
		}
	}
	return server, nil
}

// ontoLine moves a place in the made-up file to the line itself.
func ontoLine(r diag.Range, head string) diag.Range {
	lines := strings.Count(head, "\n")
	for _, p := range []*diag.Pos{&r.Start, &r.End} {
		p.Line, p.Offset = max(p.Line-lines, 1), max(p.Offset-len(head), 0)
	}
	return r
}
