package matcher

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Path is `path`: what the request's path means after decoding.
var Path = Module{
	Spec: spec.Word{
		Name: "path", In: spec.InHTTPSite,
		Doc: "The path of the request: percent-decoded, dot segments resolved, slashes merged",
		Long: "Because the path is matched in its normal form, no way of writing it (`/%61dmin`, `/x/../admin`, `//admin`) passes by a rule.\n\n" +
			"`/img/*` matches /img/ and everything below it, not /img itself; `*.png` matches at any depth; case counts.",
		Example: "@images path /img/* *.png",
		Args: []spec.Arg{{Name: "PATH", Kind: spec.Pattern, Variadic: true,
			Doc: "a path, a glob, or ~ and an RE2 expression; any of them"}},
	},
	New: func(args []config.Value) (Matcher, error) {
		for i := range args {
			if err := checkPath(args[i].Text); err != nil {
				return nil, at(args[i].Range, err)
			}
		}
		ps, err := NewPatterns(args, false)
		if err != nil {
			return nil, err
		}
		return path{ps}, nil
	},
}

// checkPath refuses patterns that no normal path can match.
func checkPath(t string) error {
	switch {
	case t == "":
		return fmt.Errorf("an empty path matches nothing")
	case t[0] == '~':
		return nil
	case t[0] != '/' && t[0] != '*' && t[0] != '?':
		return fmt.Errorf("a path begins with a slash: write %q, or %q to match at any depth", "/"+t, "*/"+t)
	case strings.Contains(t, "//"):
		return fmt.Errorf("%q can match nothing: doubled slashes are merged before matching", t)
	case strings.Contains(t+"/", "/../"), strings.Contains(t+"/", "/./"):
		return fmt.Errorf("%q can match nothing: dot segments are resolved before matching", t)
	default:
		return nil
	}
}

type path struct{ *Patterns }

func (m path) Match(x *flow.Exchange) bool { return m.Patterns.Match(x.Req.Path) }
