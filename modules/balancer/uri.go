package balancer

import (
	"bytes"
	"math"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

var uri = Module{
	Spec: spec.Word{
		Name: "uri",
		Doc:  "The same server for the same request target, for servers that cache",
		Long: "The target counts up to its `?`. A target in absolute form (`GET http://host/path`) counts with scheme and host, " +
			"unless `path_only`. What counts is what will be forwarded: rewritten if the site rewrites it, dot segments resolved.",
		Example: "balance uri depth 2 consistent",
		Options: hashOptions(
			number("len", "how many bytes of it count at most"),
			number("depth", "how many directories of it count: it ends before the slash that would begin the next one"),
			spec.Word{Name: "whole", Doc: "the query counts as well"},
			spec.Word{Name: "path_only", Doc: "without scheme and host, whichever form the target has"},
		),
	},
	New: func(n *config.Node) (Policy, error) {
		return newHash(n, &uriKey{
			length: int(n.OptionInt("len")), depth: int(n.OptionInt("depth")),
			whole: n.Has("whole"), pathOnly: n.Has("path_only"),
		})
	},
}

func number(name, doc string) spec.Word {
	return spec.Word{Name: name, Doc: doc,
		Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: math.MaxUint16, Doc: "a number"}}}
}

// uriKey is a part of the request target (HAProxy's get_server_uh).
type uriKey struct {
	length, depth   int // 0: no limit
	whole, pathOnly bool
}

func (*uriKey) needs() Need { return NeedsRequest }

func (k *uriKey) hash(a *Ask) (h uint32, ok bool) {
	if a.Exchange == nil {
		return 0, false
	}
	r := &a.Exchange.Req
	left, slashes := k.length, 0
	if left == 0 {
		left = math.MaxInt
	}
	for _, part := range [...][]byte{k.origin(r), k.target(r)} {
		for _, c := range part {
			if left == 0 {
				return h, true
			}
			left--
			if c == '/' {
				if slashes++; k.depth > 0 && slashes > k.depth {
					return h, true
				}
			} else if c == '?' && !k.whole {
				return h, true
			}
			h = sdbmByte(h, c)
		}
	}
	return h, true
}

// origin gives what stood before the path of a target in absolute form.
func (k *uriKey) origin(r *flow.Request) []byte {
	t := r.Original
	if k.pathOnly || len(t) == 0 || t[0] == '/' || t[0] == '*' || r.Method == "CONNECT" {
		return nil
	}
	i := bytes.Index(t, schemeEnd)
	if i < 0 {
		return nil
	}
	i += len(schemeEnd)
	if end := bytes.IndexAny(t[i:], "/?"); end >= 0 {
		return t[:i+end]
	}
	return t
}

var schemeEnd = []byte("://")

// target gives path and query; "*" and what CONNECT asks for are no paths.
func (k *uriKey) target(r *flow.Request) []byte {
	if k.pathOnly && (len(r.Target) == 0 || r.Target[0] != '/') {
		return nil
	}
	return r.Target
}
