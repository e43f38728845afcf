package explain

import (
	"strings"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// before is a request as it was before a route ran.
type before struct {
	target, host string
	header       []Field
}

func snapshot(x *flow.Exchange) before {
	return before{string(x.Req.Target), string(x.Req.Authority), fields(&x.Req.Header)}
}

// difference says in words what a route has changed.
func (b before) difference(x *flow.Exchange) string {
	var out []string
	if now := string(x.Req.Target); now != b.target {
		out = append(out, "target is now "+now)
	}
	if now := string(x.Req.Authority); now != b.host {
		out = append(out, "host is now "+now)
	}
	now := fields(&x.Req.Header)
	for _, f := range now {
		if !has(b.header, f) && !strings.EqualFold(f.Name, "host") {
			out = append(out, f.Name+": "+f.Value)
		}
	}
	for _, f := range b.header {
		if !has(now, Field{f.Name, f.Value}) && !named(now, f.Name) {
			out = append(out, f.Name+" is removed")
		}
	}
	return strings.Join(out, "; ")
}

func has(list []Field, f Field) bool {
	for _, o := range list {
		if o == f {
			return true
		}
	}
	return false
}

func named(list []Field, name string) bool {
	for _, o := range list {
		if strings.EqualFold(o.Name, name) {
			return true
		}
	}
	return false
}
