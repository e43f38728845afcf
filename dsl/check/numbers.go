package check

import (
	"math"
	"strconv"
	"strings"
	"time"
)

func parseInt(text string) (int64, problem) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || text[0] == '+' {
		return 0, bad("%q is no whole number", text)
	}
	return n, problem{}
}

// bareNumber is the rule of values that mean nothing without their unit.
const bareNumber = "bare-number"

// isNumber reports whether a text is a number without a unit.
func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil && strings.Trim(text, "0123456789.") == ""
}

// parseDuration reads 250ms, 2s, 1h30m, 7d; the result is in nanoseconds.
func parseDuration(text string) (int64, problem) {
	if isNumber(text) {
		p := bad("the duration %q lacks a unit", text)
		p.rule = bareNumber
		p.rule, p.help = "bare-number", "write "+quoted(text+"s")+" for seconds or "+quoted(text+"ms")+" for milliseconds"
		return 0, p
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return int64(n) * int64(24*time.Hour), problem{}
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		p := bad("%q is no duration", text)
		p.help = "durations are written 250ms, 2s, 5m, 1h, 7d"
		return 0, p
	}
	return int64(d), problem{}
}

var sizeUnits = []struct {
	name   string
	factor int64
}{
	{"B", 1}, {"KB", 1e3}, {"KiB", 1 << 10}, {"MB", 1e6}, {"MiB", 1 << 20},
	{"GB", 1e9}, {"GiB", 1 << 30}, {"TB", 1e12}, {"TiB", 1 << 40},
}

// parseSize reads 64KiB, 10MB; the result is in bytes.
func parseSize(text string) (int64, problem) {
	digits := strings.TrimLeft(text, "0123456789")
	number, unit := text[:len(text)-len(digits)], digits
	n, err := strconv.ParseInt(number, 10, 64)
	if err == nil && unit == "" {
		p := bad("the size %q lacks a unit", text)
		p.rule = bareNumber
		p.rule, p.help = "bare-number", "write "+quoted(text+"B")+", or use KiB, MiB or GiB"
		return 0, p
	}
	if err == nil {
		for _, u := range sizeUnits {
			if u.name == unit && n <= math.MaxInt64/u.factor {
				return n * u.factor, problem{}
			}
		}
	}
	p := bad("%q is no size", text)
	p.help = "sizes are written 64KiB, 10MB, 1GiB"
	for _, u := range sizeUnits {
		if strings.EqualFold(u.name, unit) || strings.EqualFold(u.name, unit+"B") {
			p.help = "did you mean " + quoted(number+u.name) + "?"
			break
		}
	}
	return 0, p
}

func parsePercent(text string) (int64, problem) {
	digits, ok := strings.CutSuffix(text, "%")
	if !ok && isNumber(text) {
		p := bad("the percentage %q lacks its unit", text)
		p.rule = bareNumber
		p.rule, p.help = "bare-number", "write "+quoted(text+"%")
		return 0, p
	}
	n, err := strconv.ParseInt(digits, 10, 32)
	if !ok || err != nil {
		return 0, bad("%q is no percentage, such as 75%%", text)
	}
	return n, problem{}
}

// parseRate reads 100/s, 20/m: events, and the nanoseconds they come in.
func parseRate(text string) (n, per int64, p problem) {
	events, unit, ok := strings.Cut(text, "/")
	if !ok && isNumber(text) {
		p = bad("the rate %q lacks its unit", text)
		p.rule = bareNumber
		p.rule, p.help = "bare-number", "write "+quoted(text+"/s")+" or "+quoted(text+"/m")
		return 0, 0, p
	}
	switch unit {
	case "s":
		per = int64(time.Second)
	case "m":
		per = int64(time.Minute)
	case "h":
		per = int64(time.Hour)
	case "d":
		per = int64(24 * time.Hour)
	}
	n, err := strconv.ParseInt(events, 10, 64)
	if err != nil || per == 0 {
		p = bad("%q is no rate", text)
		p.help = "rates are written 100/s, 20/m, 5/h"
		return 0, 0, p
	}
	return n, per, problem{}
}
