// Package template fills placeholders such as {client.ip} into text. A
// template is compiled once; filling it allocates nothing beyond the growth of
// the buffer it appends to.
//
// What comes from the client is made harmless for the place it goes to: no
// placeholder ever yields CR, LF, NUL or another control character, so no
// value can end a header line or forge a log line.
package template

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/listener/flow"
)

// Template is compiled text.
type Template struct {
	parts []part
	size  int // bytes of its literals
}

// part is a literal, or a placeholder with what its name ends in.
type part struct {
	lit  string
	fill func(dst []byte, x *flow.Exchange, arg string) []byte
	name string // of the placeholder, without its suffix
	arg  string
}

// Compile reads a template. "{" begins a placeholder where a dotted name and
// "}" follow; anywhere else it is itself, so that JSON and CSS need no escapes.
func Compile(text string) (*Template, error) {
	t := &Template{}
	lit := 0
	for i := 0; i < len(text); {
		name, ok := placeholderAt(text[i:])
		if !ok {
			i++
			continue
		}
		p, err := find(name)
		if err != nil {
			return nil, err
		}
		t.literal(text[lit:i])
		t.parts = append(t.parts, p)
		i += len(name) + 2
		lit = i
	}
	t.literal(text[lit:])
	return t, nil
}

func (t *Template) literal(s string) {
	if s != "" {
		t.parts = append(t.parts, part{lit: s})
		t.size += len(s)
	}
}

// placeholderAt gives the name of the placeholder that s begins with.
func placeholderAt(s string) (string, bool) {
	if s[0] != '{' {
		return "", false
	}
	end := strings.IndexByte(s, '}')
	if end < 0 {
		return "", false
	}
	name := s[1:end]
	if dot := strings.IndexByte(name, '.'); dot <= 0 || dot == len(name)-1 || name[0] < 'a' || name[0] > 'z' {
		return "", false
	}
	for i := range len(name) {
		c := name[i]
		if !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return "", false
		}
	}
	return name, true
}

func find(name string) (part, error) {
	for i := range table {
		p := &table[i]
		if stem, ok := strings.CutSuffix(p.Name, "*"); ok {
			if arg, ok := strings.CutPrefix(name, stem); ok && arg != "" {
				return part{fill: p.fill, name: p.Name, arg: arg}, nil
			}
		} else if p.Name == name {
			return part{fill: p.fill, name: p.Name}, nil
		}
	}
	group := name[:strings.IndexByte(name, '.')+1]
	var near []string
	for i := range table {
		if strings.HasPrefix(table[i].Name, group) {
			near = append(near, "{"+table[i].Name+"}")
		}
	}
	if near == nil {
		return part{}, fmt.Errorf("unknown placeholder {%s}", name)
	}
	return part{}, fmt.Errorf("unknown placeholder {%s}: there are %s", name, strings.Join(near, ", "))
}

// Static gives the text of a template without placeholders.
func (t *Template) Static() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].fill == nil:
		return t.parts[0].lit, true
	default:
		return "", false
	}
}

// Lead gives the literal text before the first placeholder, and that
// placeholder's name ("" if there is none), for checks of what a template may
// turn into.
func (t *Template) Lead() (lit, placeholder string) {
	for i := range t.parts {
		p := &t.parts[i]
		if p.fill != nil {
			return lit, p.name
		}
		lit += p.lit
	}
	return lit, ""
}

// Walk calls visit for every part in order: literals with an empty name.
func (t *Template) Walk(visit func(lit, placeholder string)) {
	for i := range t.parts {
		visit(t.parts[i].lit, t.parts[i].name)
	}
}

// Append fills the template for plain text and header values: control
// characters of placeholders are left out.
func (t *Template) Append(dst []byte, x *flow.Exchange) []byte { return t.append(dst, x, plain) }

// AppendHTML fills the template for an HTML text: what placeholders yield is escaped.
func (t *Template) AppendHTML(dst []byte, x *flow.Exchange) []byte { return t.append(dst, x, html) }

// AppendURL fills the template for a URL: what placeholders yield is
// percent-encoded where a URL would otherwise read it as something else (RFC 3986 §2).
func (t *Template) AppendURL(dst []byte, x *flow.Exchange) []byte { return t.append(dst, x, url) }

func (t *Template) append(dst []byte, x *flow.Exchange, m mode) []byte {
	for i := range t.parts {
		p := &t.parts[i]
		if p.fill == nil {
			dst = append(dst, p.lit...)
			continue
		}
		start := len(dst)
		dst = p.fill(dst, x, p.arg)
		dst = clean(dst, start, m.of(p.name))
	}
	return dst
}
