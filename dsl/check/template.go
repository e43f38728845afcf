package check

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// template checks a template; one of a log may be the name of a format.
func (c *checker) template(a *spec.Arg, text string, sc scope) problem {
	if a.Log && !strings.Contains(text, "{") {
		return oneOf(a, text)
	}
	return c.placeholders(a, text, sc)
}

// placeholders checks the {names} of a template. Braces around anything that
// cannot be a name, as in JSON, are text.
func (c *checker) placeholders(a *spec.Arg, text string, sc scope) problem {
	if len(c.opt.Vocabulary.Placeholders) == 0 {
		return problem{}
	}
	for rest := text; ; {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return problem{}
		}
		end := strings.IndexAny(after, "{}") // not farther, or many braces would take long
		if end < 0 {
			return problem{}
		}
		name := after[:end]
		if after[end] == '{' || !isPlaceholder(name) {
			rest = after
			continue
		}
		rest = after[end+1:]
		p := c.placeholder(name)
		if p == nil {
			out := problem{rule: "unknown-placeholder", text: "unknown placeholder {" + name + "}"}
			if near := nearest(name, c.placeholderNames(a, sc.where)); near != "" {
				out.help = "did you mean " + quoted("{"+near+"}") + "?"
			}
			return out
		}
		if p.Log && !a.Log {
			return problem{
				rule: "unknown-placeholder", text: "{" + name + "} is known only when the exchange is over",
				help: "it stands in formats of `log`",
			}
		}
		if p.HTTP && sc.where == spec.InTCPSite {
			return problem{rule: "http-in-tcp-site", text: "{" + name + "} is of an HTTP request; this site is tcp"}
		}
	}
}

// isPlaceholder reports whether what stands in braces is meant as a name.
func isPlaceholder(name string) bool {
	for i := 0; i < len(name); i++ {
		switch ch := name[i]; {
		case 'a' <= ch && ch <= 'z', ch == '_', ch == '.':
		case i > 0 && ('A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || ch == '-'):
		default:
			return false
		}
	}
	return strings.Trim(name, ".") != "" && strings.Contains(name, ".")
}

func (c *checker) placeholder(name string) *spec.Placeholder {
	for i := range c.opt.Vocabulary.Placeholders {
		p := &c.opt.Vocabulary.Placeholders[i]
		prefix, any := strings.CutSuffix(p.Name, "*")
		if name == p.Name || any && strings.HasPrefix(name, prefix) && len(name) > len(prefix) {
			return p
		}
	}
	return nil
}

func (c *checker) placeholderNames(a *spec.Arg, where spec.Where) []string {
	var out []string
	for _, p := range c.opt.Vocabulary.Placeholders {
		if (!p.HTTP || where != spec.InTCPSite) && (!p.Log || a.Log) {
			out = append(out, p.Name)
		}
	}
	return out
}
