package matcher

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// maxRegexp bounds the length of an RE2 expression, in bytes: matching is
// linear in it.
const maxRegexp = 1024

// shape tells which way a Pattern is compared.
type shape uint8

const (
	exact    shape = iota // literal
	prefix                // literal*
	suffix                // *literal
	contains              // *literal*
	globbed               // anything else with * or ?
	regex                 // ~…
	all                   // *
)

// Pattern is one compiled glob or regular expression. A glob is compared with
// the whole string: "*" stands for any run of characters, "/" and nothing
// included, "?" for one character, "\" takes the sign behind it as it is. A
// leading "~" makes the rest an RE2 expression, which may match anywhere.
type Pattern struct {
	shape shape
	text  string // the literal of the simple shapes
	glob  []token
	re    *regexp.Regexp
}

// token is one piece of a glob: a literal, or a sign.
type token struct {
	sign byte // '*', '?', or 0 for a literal
	lit  []byte
}

// NewPattern compiles a pattern. fold makes it compare without regard to ASCII
// case with strings that are lower case already.
func NewPattern(text string, fold bool) (Pattern, error) {
	if expr, ok := strings.CutPrefix(text, "~"); ok {
		return newRegexp(expr, fold)
	}
	if fold {
		text = lowerASCII(text)
	}
	return newGlob(tokens(text)), nil
}

func newRegexp(expr string, fold bool) (Pattern, error) {
	switch {
	case expr == "":
		return Pattern{}, errors.New("an empty regular expression matches everything; write * for that")
	case len(expr) > maxRegexp:
		return Pattern{}, fmt.Errorf("the regular expression has %d bytes, more than %d", len(expr), maxRegexp)
	}
	if fold {
		expr = "(?i:" + expr + ")"
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return Pattern{}, fmt.Errorf("no RE2 expression: %w", err)
	}
	return Pattern{shape: regex, re: re}, nil
}

func tokens(text string) []token {
	var out []token
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			out = append(out, token{lit: []byte(lit.String())})
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
			if c == '*' && len(out) > 0 && out[len(out)-1].sign == '*' {
				continue
			}
			out = append(out, token{sign: c})
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return out
}

func newGlob(t []token) Pattern {
	star := func(i int) bool { return t[i].sign == '*' }
	lit := func(i int) bool { return t[i].sign == 0 }
	switch {
	case len(t) == 0:
		return Pattern{shape: exact}
	case len(t) == 1 && lit(0):
		return Pattern{shape: exact, text: string(t[0].lit)}
	case len(t) == 1 && star(0):
		return Pattern{shape: all}
	case len(t) == 2 && lit(0) && star(1):
		return Pattern{shape: prefix, text: string(t[0].lit)}
	case len(t) == 2 && star(0) && lit(1):
		return Pattern{shape: suffix, text: string(t[1].lit)}
	case len(t) == 3 && star(0) && lit(1) && star(2):
		return Pattern{shape: contains, glob: t[1:2]}
	default:
		return Pattern{shape: globbed, glob: t}
	}
}

// Exact gives the only string that matches, if there is just one.
func (p *Pattern) Exact() (string, bool) { return p.text, p.shape == exact }

// Prefix gives what every string that matches begins with, "" if that is unknown.
func (p *Pattern) Prefix() string {
	switch {
	case p.shape == exact || p.shape == prefix:
		return p.text
	case p.shape == globbed && p.glob[0].sign == 0:
		return string(p.glob[0].lit)
	default:
		return ""
	}
}

// Suffix gives what every string that matches ends with, "" if that is unknown.
func (p *Pattern) Suffix() string {
	switch {
	case p.shape == exact || p.shape == suffix:
		return p.text
	case p.shape == globbed && p.glob[len(p.glob)-1].sign == 0:
		return string(p.glob[len(p.glob)-1].lit)
	default:
		return ""
	}
}

// Match compares b, without allocating.
func (p *Pattern) Match(b []byte) bool {
	n := len(p.text)
	switch p.shape {
	case exact:
		return string(b) == p.text
	case prefix:
		return len(b) >= n && string(b[:n]) == p.text
	case suffix:
		return len(b) >= n && string(b[len(b)-n:]) == p.text
	case contains:
		return bytes.Contains(b, p.glob[0].lit)
	case regex:
		return p.re.Match(b)
	case all:
		return true
	default:
		return matchGlob(p.glob, b)
	}
}

// matchGlob goes back to the last star only, so its cost is at most the product of
// the lengths, never exponential.
func matchGlob(glob []token, b []byte) bool {
	g, star := 0, -1
	var retry []byte // where what stands behind the last star was tried
	for {
		if g == len(glob) {
			if len(b) == 0 {
				return true
			}
		} else if t := &glob[g]; t.sign == '*' {
			if g++; g == len(glob) {
				return true
			}
			star, retry = g, b
			if !seek(&glob[star], &retry) {
				return false
			}
			b = retry
			continue
		} else if rest, ok := step(t, b); ok {
			b, g = rest, g+1
			continue
		}
		if star < 0 || len(retry) == 0 {
			return false
		}
		_, n := utf8.DecodeRune(retry)
		retry = retry[n:]
		if !seek(&glob[star], &retry) {
			return false
		}
		b, g = retry, star
	}
}

// seek moves b to where t may begin; false if it never does.
func seek(t *token, b *[]byte) bool {
	if t.sign != 0 {
		return true
	}
	i := bytes.Index(*b, t.lit)
	if i >= 0 {
		*b = (*b)[i:]
	}
	return i >= 0
}

// step takes a literal or one character off b.
func step(t *token, b []byte) ([]byte, bool) {
	if t.sign == 0 {
		return bytes.CutPrefix(b, t.lit)
	}
	if len(b) == 0 {
		return b, false
	}
	_, n := utf8.DecodeRune(b)
	return b[n:], true
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

// MatchString is Match for a string. Nothing that Match calls writes to its
// argument, so the string's own bytes can be shown to it.
func (p *Pattern) MatchString(s string) bool {
	return p.Match(unsafe.Slice(unsafe.StringData(s), len(s)))
}
