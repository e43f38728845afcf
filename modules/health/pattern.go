package health

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// maxPattern bounds an RE2 expression, in bytes: matching is linear in it.
const maxPattern = 1024

// pattern is what an answer is compared with: bytes, or an RE2 expression.
type pattern struct {
	text  string // as written, for logs
	plain []byte
	re    *regexp.Regexp
}

// newPattern reads a value; a leading "~" makes it an RE2 expression. The
// escapes of unescape are resolved in plain ones (RE2 has the same ones).
func newPattern(v config.Value) (pattern, error) {
	expr, ok := strings.CutPrefix(v.Text, "~")
	if !ok {
		plain, err := unescape(v)
		if err == nil && len(plain) == 0 {
			err = misuse(v.Range, "the pattern is empty")
		}
		return pattern{text: v.Text, plain: plain}, err
	}
	if expr == "" || len(expr) > maxPattern {
		return pattern{}, misuse(v.Range, "a regular expression has 1 to %d bytes", maxPattern)
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return pattern{}, misuse(v.Range, "%q is no regular expression: %s", expr, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return pattern{text: v.Text, re: re}, nil
}

// in reports whether the pattern is found anywhere in b.
func (p *pattern) in(b []byte) bool {
	if p.re != nil {
		return p.re.Match(b)
	}
	return bytes.Contains(b, p.plain)
}

// end gives where the first find of the pattern ends, -1 without one.
func (p *pattern) end(b []byte) int {
	if p.re != nil {
		if at := p.re.FindIndex(b); at != nil {
			return at[1]
		}
		return -1
	}
	if i := bytes.Index(b, p.plain); i >= 0 {
		return i + len(p.plain)
	}
	return -1
}

// is reports whether b is the pattern; an RE2 expression need not match all.
func (p *pattern) is(b []byte) bool {
	if p.re != nil {
		return p.re.Match(b)
	}
	return bytes.Equal(b, p.plain)
}

// unescape resolves \r \n \t \0 \\ and \xHH, so that protocols of lines and of
// bytes can be written in plain words.
func unescape(v config.Value) ([]byte, error) {
	s := v.Text
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			var n int
			if c, n = escape(s[i+1:]); n == 0 {
				return nil, misuse(v.Range, "unknown escape in %q: there are \\r \\n \\t \\0 \\\\ and \\xHH", s)
			}
			i += n
		}
		out = append(out, c)
	}
	return out, nil
}

// escape reads what follows a backslash, and gives how long it is.
func escape(s string) (c byte, n int) {
	if s == "" {
		return 0, 0
	}
	switch s[0] {
	case 'r':
		return '\r', 1
	case 'n':
		return '\n', 1
	case 't':
		return '\t', 1
	case '0':
		return 0, 1
	case '\\':
		return '\\', 1
	case 'x':
		var b byte
		if len(s) >= 3 && strings.Trim(s[1:3], "0123456789abcdefABCDEF") == "" {
			_, _ = fmt.Sscanf(s[1:3], "%02x", &b)
			return b, 3
		}
	}
	return 0, 0
}

// misuse is an error of a constructor with its place.
func misuse(at diag.Range, format string, args ...any) error {
	var l diag.List
	l.Add(at, "bad-health", format, args...)
	return l
}
