package httplog

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
)

// Template reads a format that is a text with placeholders: those of other
// templates, and those of Placeholders. Their values are escaped for where they
// stand: as JSON if the text is an object in braces, as Apache does it between
// quotes, and elsewhere so that a value is one word, "-" if there is none.
func Template(text string) (*logging.FormatModule, error) {
	parts, err := parseTemplate(text)
	if err != nil {
		return nil, err
	}
	m := &logging.FormatModule{Name: text, Doc: "A text with placeholders.", New: func(field fields) logging.Format {
		mine := append(template(nil), parts...)
		for i := range mine {
			if p := &mine[i]; p.hole != nil && p.hole.capture != nil {
				p.field = field(p.hole.capture(p.arg))
			}
		}
		return mine
	}}
	for i := range parts {
		if h := parts[i].hole; h != nil && h.HTTP {
			m.Streams = "tcplog"
		}
	}
	return m, nil
}

// template is a compiled text.
type template []part

// part is a literal, or a placeholder.
type part struct {
	lit   string
	hole  *hole
	arg   string // what the name ends in, where any suffix is taken
	field int    // in Record.Fields, of a hole that is captured
	how   quoting
}

// Append appends the line of r.
func (t template) Append(dst []byte, r *flow.Record) []byte {
	for i := range t {
		p := &t[i]
		switch {
		case p.hole == nil:
			dst = append(dst, p.lit...)
		case p.hole.capture != nil:
			dst = appendQuoted(dst, captured(r, p.field), maxField, p.how)
		case p.hole.view != nil:
			dst = appendQuoted(dst, p.hole.view(r), maxURL, p.how)
		case p.hole.number != nil:
			// Dates and numbers are our own text, blanks in them included.
			n := len(dst)
			if dst = p.hole.number(dst, r); len(dst) == n && p.how == bare {
				dst = append(dst, '-')
			}
		default:
			dst = p.long(dst, r)
		}
	}
	return dst
}

// long writes a value that has to be made first. It is made behind the line and
// escaped from there to behind itself, then moved to its place: no buffer is needed.
func (p *part) long(dst []byte, r *flow.Record) []byte {
	start := len(dst)
	dst = p.hole.fill(dst, r, p.arg)
	made := len(dst)
	dst = appendQuoted(dst, dst[start:made:made], maxURL, p.how)
	n := copy(dst[start:], dst[made:])
	return dst[:start+n]
}

// parseTemplate cuts a text into parts. "{" begins a placeholder where a dotted name
// and "}" follow, as in other templates.
func parseTemplate(text string) (template, error) {
	for i := range len(text) {
		if text[i] < ' ' || text[i] == 0x7f {
			return nil, fmt.Errorf("a line has no control characters in it; this one has %q", text[i])
		}
	}
	object := strings.HasPrefix(text, `{"`) && strings.HasSuffix(text, "}")
	var t template
	inQuotes, lit := false, 0
	for i := 0; i < len(text); {
		if text[i] == '"' {
			inQuotes = !inQuotes
		}
		name := placeholderAt(text[i:])
		if name == "" {
			i++
			continue
		}
		p, err := find(name)
		if err != nil {
			return nil, err
		}
		switch {
		case object:
			p.how = inJSON
		case !inQuotes:
			p.how = bare
		}
		if lit < i {
			t = append(t, part{lit: text[lit:i]})
		}
		t = append(t, p)
		i += len(name) + 2
		lit = i
	}
	if lit < len(text) {
		t = append(t, part{lit: text[lit:]})
	}
	return t, nil
}

// placeholderAt gives the name of the placeholder that s begins with, or "".
func placeholderAt(s string) string {
	end := strings.IndexByte(s, '}')
	if s[0] != '{' || end < 0 {
		return ""
	}
	name := s[1:end]
	if dot := strings.IndexByte(name, '.'); dot <= 0 || dot == len(name)-1 || name[0] < 'a' || name[0] > 'z' {
		return ""
	}
	for i := range len(name) {
		if c := name[i]; !('a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return ""
		}
	}
	return name
}

func find(name string) (part, error) {
	for i := range holes {
		h := &holes[i]
		if stem, ok := strings.CutSuffix(h.Name, "*"); ok {
			if arg, ok := strings.CutPrefix(name, stem); ok && arg != "" {
				return part{hole: h, arg: arg}, nil
			}
		} else if h.Name == name {
			return part{hole: h}, nil
		}
	}
	return part{}, fmt.Errorf("unknown placeholder {%s}", name)
}
