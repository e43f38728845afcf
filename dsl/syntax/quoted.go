package syntax

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
)

// double reads "…". It ends on its line: a quote that was forgotten is then
// reported where it was forgotten, not at the end of the file.
func (s *scanner) double(rest string) {
	n := 1
	for n < len(rest) && rest[n] != '"' && rest[n] != '\n' {
		if rest[n] == '\\' && n+1 < len(rest) && rest[n+1] != '\n' {
			if !strings.ContainsRune(`"\nt`, rune(rest[n+1])) {
				s.badEscape(rest, n)
			}
			n++
		}
		n++
	}
	if n == len(rest) || rest[n] == '\n' {
		d := s.errorf(s.at(n), "unclosed-quote", `this "…" is not closed on its line`)
		d.Help = []string{"a text of several lines is written as `…` or as a heredoc (<<NAME)"}
		s.word(n)
		return
	}
	s.quoted(rest, n+1)
}

func (s *scanner) badEscape(rest string, n int) {
	if len(s.errs) >= maxErrors {
		return // the place is not counted out in vain
	}
	escape := rest[n:n+1] + firstRune(rest[n+1:])
	start := endOf(s.pos, rest[:n])
	r := diag.Range{File: s.file, Start: start, End: endOf(start, escape)}
	d := s.errorf(r, "bad-escape", `unknown escape in "…": %s`, escape)
	d.Help = []string{"the escapes are \\\" \\\\ \\n \\t; nothing is escaped in `…`"}
}

// backquote reads `…`, which may span lines.
func (s *scanner) backquote(rest string) {
	n := strings.IndexByte(rest[1:], '`')
	if n < 0 {
		s.errorf(s.at(1), "unclosed-quote", "this `…` is not closed")
		s.stop()
		return
	}
	s.quoted(rest, n+2)
}

// quoted takes a quoted word of n bytes and wants a blank behind it.
func (s *scanner) quoted(rest string, n int) {
	s.word(n)
	if n < len(rest) && !strings.ContainsRune(" \t\r\n", rune(rest[n])) && joinLength(rest[n:]) == 0 {
		s.errorf(s.at(len(firstRune(rest[n:]))), "syntax", "a blank is missing behind the closing quote")
	}
}

// heredocName gives the NAME of <<NAME, "" if the text is none.
func heredocName(rest string) string {
	n := 2
	for n < len(rest) && (rest[n] == '_' || isLetter(rest[n]) || n > 2 && isDigit(rest[n])) {
		n++
	}
	if n < len(rest) && !strings.ContainsRune(" \t\r\n", rune(rest[n])) && joinLength(rest[n:]) == 0 {
		return ""
	}
	return rest[2:n]
}

// heredoc reads <<NAME up to a line that begins with NAME. More words of the
// same line may follow behind the closing NAME.
func (s *scanner) heredoc(rest string) {
	name := heredocName(rest)
	first := 2 + len(name)
	for first < len(rest) && strings.IndexByte(" \t\r", rest[first]) >= 0 {
		first++
	}
	if first < len(rest) && rest[first] != '\n' {
		s.errorf(s.at(2+len(name)), "syntax", "<<%s must end its line; what else belongs to it stands behind the closing %s", name, name)
		s.word(2 + len(name))
		return
	}
	for n := first; n < len(rest); {
		n++ // the newline
		line := rest[n : n+lineLength(rest[n:])]
		text := strings.TrimLeft(line, " \t")
		if after, ok := strings.CutPrefix(text, name); ok && (after == "" || strings.ContainsRune(" \t\r", rune(after[0]))) {
			s.word(n + len(line) - len(after))
			return
		}
		n += len(line)
	}
	s.errorf(s.at(2+len(name)), "unclosed-heredoc", "this heredoc is not closed: no line begins with %s", name)
	s.stop()
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

func firstRune(text string) string {
	for i := range text {
		if i > 0 {
			return text[:i]
		}
	}
	return text
}

// quoteOf tells how a raw word was written.
func quoteOf(raw string) Quote {
	switch {
	case raw[0] == '"':
		return Double
	case raw[0] == '`':
		return Backquote
	case strings.HasPrefix(raw, "<<") && strings.IndexByte(raw, '\n') > 0:
		return Heredoc
	default:
		return Plain
	}
}

// unquote gives what a raw word means.
func unquote(raw string, q Quote) string {
	switch q {
	case Double:
		body := strings.TrimPrefix(raw, `"`)
		if strings.IndexByte(body, '\\') < 0 {
			return strings.TrimSuffix(body, `"`)
		}
		return unescape(body)
	case Backquote:
		return unixLines(strings.Trim(raw, "`"))
	case Heredoc:
		return heredocText(raw)
	default:
		return raw
	}
}

// unescape resolves the escapes of "…" up to its closing quote.
func unescape(body string) string {
	var b strings.Builder
	b.Grow(len(body))
	for i := 0; i < len(body) && body[i] != '"'; i++ {
		c := body[i]
		if c == '\\' && i+1 < len(body) {
			i++
			switch c = body[i]; c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case '"', '\\':
			default:
				b.WriteByte('\\') // already reported
			}
		}
		b.WriteByte(c)
	}
	return b.String()
}

// heredocText gives the lines between <<NAME and NAME without the indentation
// that all of them share (blank lines do not count) and without the last
// newline.
func heredocText(raw string) string {
	raw = unixLines(raw)
	lines := strings.Split(raw, "\n")
	lines = lines[1 : len(lines)-1]
	indent, first := "", true
	for _, l := range lines {
		text := strings.TrimLeft(l, " \t")
		if text == "" {
			continue
		}
		if own := l[:len(l)-len(text)]; first {
			indent, first = own, false
		} else {
			indent = commonPrefix(indent, own)
		}
	}
	for i, l := range lines {
		if strings.Trim(l, " \t") == "" {
			lines[i] = ""
			continue
		}
		lines[i] = strings.TrimPrefix(l, indent)
	}
	return strings.Join(lines, "\n")
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// unixLines turns CRLF into LF: a text must not change its meaning when a
// version control system changes the ends of its lines.
func unixLines(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }
