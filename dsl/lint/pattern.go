package lint

import (
	"regexp"
	"strings"
)

// pattern is a glob or an RE2 expression, as the language reference has them:
// "*" is any run of characters, "?" one of them, "\" takes the sign behind it as
// it is; a leading "~" makes it an expression that may match anywhere.
type pattern struct {
	text string
	re   *regexp.Regexp // nil: a glob
	bad  bool           // no expression: nothing is known of it
	glob []piece
}

// piece is a sign, or a literal if sign is 0.
type piece struct {
	sign byte
	lit  string
}

func newPattern(text string, fold bool) pattern {
	p := pattern{text: text}
	if expr, ok := strings.CutPrefix(text, "~"); ok {
		if fold {
			expr = "(?i:" + expr + ")"
		}
		var err error
		p.re, err = regexp.Compile(expr)
		p.bad = err != nil
		return p
	}
	if fold {
		text = strings.ToLower(text)
	}
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			p.glob = append(p.glob, piece{lit: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && strings.IndexByte(`*?\`, text[i+1]) >= 0:
			i++
			lit.WriteByte(text[i])
		case c == '*' || c == '?':
			flush()
			p.glob = append(p.glob, piece{sign: c})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return p
}

// isRegexp reports whether it is no glob.
func (p *pattern) isRegexp() bool { return p.re != nil || p.bad }

// exact gives the only string that matches, if there is just one.
func (p *pattern) exact() (string, bool) {
	switch {
	case p.isRegexp() || len(p.glob) > 1 || len(p.glob) == 1 && p.glob[0].sign != 0:
		return "", false
	case len(p.glob) == 0:
		return "", true
	default:
		return p.glob[0].lit, true
	}
}

// everything reports whether every string matches.
func (p *pattern) everything() bool {
	if p.isRegexp() || len(p.glob) == 0 {
		return false
	}
	for _, g := range p.glob {
		if g.sign != '*' {
			return false
		}
	}
	return true
}

func (p *pattern) match(s string) truth {
	switch {
	case p.bad:
		return unknown
	case p.re != nil:
		return truthOf(p.re.MatchString(s))
	default:
		return truthOf(globMatch(p.glob, s))
	}
}

// globMatch goes back to the last star only, so its cost is bounded by the
// product of the lengths.
func globMatch(glob []piece, s string) bool {
	g, star, retry := 0, -1, ""
	for {
		switch {
		case g == len(glob) && s == "":
			return true
		case g < len(glob) && glob[g].sign == '*':
			star, retry = g, s
			g++
			continue
		case g < len(glob) && glob[g].sign == '?' && s != "":
			s = s[runeLen(s):]
			g++
			continue
		case g < len(glob) && glob[g].sign == 0 && strings.HasPrefix(s, glob[g].lit):
			s = s[len(glob[g].lit):]
			g++
			continue
		}
		if star < 0 || retry == "" {
			return false
		}
		retry = retry[runeLen(retry):]
		g, s = star+1, retry
	}
}

func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// example gives a string that matches: "x" stands for what is left open.
func (p *pattern) example() (string, bool) {
	if p.isRegexp() {
		return "", false
	}
	var b strings.Builder
	for _, g := range p.glob {
		switch g.sign {
		case 0:
			b.WriteString(g.lit)
		case '?':
			b.WriteByte('x')
		case '*':
			if !strings.HasSuffix(b.String(), "x") {
				b.WriteByte('x')
			}
		}
	}
	return b.String(), true
}

// covers reports whether whatever matches b surely matches p.
func (p *pattern) covers(b *pattern) bool {
	if p.text == b.text || p.everything() {
		return true
	}
	if s, ok := b.exact(); ok {
		return p.match(s) == yes
	}
	if p.isRegexp() || b.isRegexp() {
		return false
	}
	first, last := b.glob[0], b.glob[len(b.glob)-1]
	switch g := p.glob; {
	case len(g) == 2 && g[0].sign == 0 && g[1].sign == '*': // prefix*
		return first.sign == 0 && strings.HasPrefix(first.lit, g[0].lit)
	case len(g) == 2 && g[0].sign == '*' && g[1].sign == 0: // *suffix
		return last.sign == 0 && strings.HasSuffix(last.lit, g[1].lit)
	case len(g) == 3 && g[0].sign == '*' && g[1].sign == 0 && g[2].sign == '*': // *part*
		for _, piece := range b.glob {
			if strings.Contains(piece.lit, g[1].lit) {
				return true
			}
		}
	}
	return false
}
