package httplog

import "github.com/loadstar-lb/loadstar/listener/flow"

// proxied is what a PROXY header said, for logs.
var proxied = func() []hole {
	var out []hole
	for _, f := range flow.ToldFacts {
		out = append(out, view("proxy."+f.Name, func(r *flow.Record) []byte {
			if r.Conn == nil {
				return nil
			}
			return bytesOf(f.Get(r.Conn))
		}))
	}
	return out
}()
