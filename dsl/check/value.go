package check

import (
	"fmt"
	"regexp/syntax"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// problem is what is wrong with a value.
type problem struct {
	rule, text, help string
	severity         diag.Severity
}

func (p problem) refuses() bool { return p.text != "" && p.severity == diag.Error }

func bad(format string, args ...any) problem {
	return problem{rule: "bad-value", text: fmt.Sprintf(format, args...)}
}

// value reads one value, and reports what is wrong with it.
func (c *checker) value(a *spec.Arg, w word, sc scope) config.Value {
	v, p := parse(a, w.text)
	v.Range = w.rng
	if w.bad {
		return v
	}
	if p.text == "" && a.Kind == spec.Template {
		p = c.template(a, w.text, sc)
	}
	if p.text != "" {
		d := c.errorf(w.place, p.rule, "%s", p.text)
		d.Severity = p.severity
		if p.help != "" {
			d.Help = append(d.Help, p.help)
		}
	}
	return v
}

// accepts reports whether a text could be a value of the argument.
func accepts(a *spec.Arg, w word) bool {
	if anyText(a.Kind) || w.bad {
		return true
	}
	_, p := parse(a, w.text)
	return !p.refuses() || p.rule == "out-of-range" || p.rule == "bare-number"
}

// anyText reports whether a kind takes every text.
func anyText(k spec.Kind) bool {
	switch k {
	case spec.String, spec.Template, spec.Pattern, spec.File:
		return true
	default:
		return false
	}
}

// parse reads a text as the kind of an argument.
func parse(a *spec.Arg, text string) (config.Value, problem) {
	v := config.Value{Kind: a.Kind, Text: text}
	var p problem
	switch a.Kind {
	case spec.Int:
		v.Int, p = parseInt(text)
		return v, bounded(a, v.Int, p)
	case spec.Duration:
		v.Int, p = parseDuration(text)
		return v, bounded(a, v.Int, p)
	case spec.Size:
		v.Int, p = parseSize(text)
		return v, bounded(a, v.Int, p)
	case spec.Percent:
		v.Int, p = parsePercent(text)
		return v, bounded(a, v.Int, p)
	case spec.Rate:
		v.Int, v.Per, p = parseRate(text)
		return v, bounded(a, v.Int, p)
	case spec.Port:
		if v.Int, p = parseInt(text); p.text != "" {
			p = bad("%q is no port: write a number from 1 to 65535", text)
		}
		return v, bounded(&spec.Arg{Name: a.Name, Kind: spec.Int, Min: max(1, a.Min), Max: 65535}, v.Int, p)
	case spec.Status:
		if v.Int, p = parseInt(text); p.text != "" {
			p = bad("%q is no HTTP status", text)
		}
		return v, bounded(&spec.Arg{Name: a.Name, Kind: spec.Int, Min: max(100, a.Min), Max: min(599, maxOr(a.Max, 599))}, v.Int, p)
	case spec.Statuses:
		if _, err := spec.ParseStatuses(text); err != nil {
			p = bad("%v", err)
		}
	case spec.Enum:
		p = oneOf(a, text)
	case spec.Pattern:
		p = checkPattern(text)
	case spec.Network:
		p = checkNetwork(text)
	case spec.Address:
		p = checkAddress(text)
	case spec.SinkAddr:
		p = checkSink(text)
	case spec.HeaderName:
		p = checkHeaderName(text)
	case spec.PoolRef:
		switch {
		case isAddress(text):
			p = checkAddress(text)
		case !isIdent(text):
			p = bad("%q is no name of a pool", text)
		}
	case spec.TableRef:
		if !isIdent(text) {
			p = bad("%q is no name of a table", text)
		}
	case spec.File:
		if text == "" {
			p = bad("the name of the file is empty")
		}
	}
	return v, p
}

func maxOr(n, otherwise int64) int64 {
	if n == 0 {
		return otherwise
	}
	return n
}

// bounded checks a number against the bounds of its argument.
func bounded(a *spec.Arg, n int64, p problem) problem {
	if p.text != "" || n >= a.Min && (a.Max == 0 || n <= a.Max) {
		return p
	}
	show := func(n int64) string { return showNumber(a.Kind, n) }
	text := fmt.Sprintf("%s must be at least %s", a.Name, show(a.Min))
	if a.Max != 0 {
		text = fmt.Sprintf("%s must be from %s to %s", a.Name, show(a.Min), show(a.Max))
	}
	return problem{rule: "out-of-range", text: text}
}

func showNumber(k spec.Kind, n int64) string {
	switch k {
	case spec.Duration:
		s := time.Duration(n).String()
		if t, ok := strings.CutSuffix(s, "m0s"); ok {
			s = t + "m"
		}
		if t, ok := strings.CutSuffix(s, "h0m"); ok {
			s = t + "h"
		}
		return s
	case spec.Size:
		for i := len(sizeUnits) - 1; i >= 0; i-- {
			if u := sizeUnits[i]; n != 0 && n%u.factor == 0 {
				return strconv.FormatInt(n/u.factor, 10) + u.name
			}
		}
		return strconv.FormatInt(n, 10) + "B"
	case spec.Percent:
		return strconv.FormatInt(n, 10) + "%"
	default:
		return strconv.FormatInt(n, 10)
	}
}

func oneOf(a *spec.Arg, text string) problem {
	if isOneOf(text, a.Words) {
		return problem{}
	}
	p := bad("%q is no %s", text, a.Name)
	if near := nearest(text, a.Words); near != "" {
		p.help = "did you mean " + quoted(near) + "?"
	} else {
		p.help = "one of: " + list(a.Words)
	}
	return p
}

// maxPattern bounds a regular expression, so that compiling it stays cheap.
const maxPattern = 4096

// checkPattern compiles what a leading ~ marks as an RE2 expression
// (https://github.com/google/re2/wiki/Syntax); every glob is well formed.
func checkPattern(text string) problem {
	if text == "" {
		return bad("the pattern is empty")
	}
	expr, ok := strings.CutPrefix(text, "~")
	if !ok {
		return problem{}
	}
	if len(expr) > maxPattern {
		return bad("a regular expression has at most %d characters", maxPattern)
	}
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err == nil {
		_, err = syntax.Compile(tree.Simplify())
	}
	if err != nil {
		return bad("%q is no regular expression: %s", expr, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return problem{}
}

// checkHeaderName checks a field name (RFC 9110 §5.1, §5.6.2).
func checkHeaderName(text string) problem {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			p := bad("%q is no name of a header field", text)
			if strings.HasSuffix(text, ":") {
				p.help = "write it without the colon: " + strings.TrimSuffix(text, ":")
			}
			return p
		}
	}
	if text == "" {
		return bad("the name of the header field is empty")
	}
	return problem{}
}
