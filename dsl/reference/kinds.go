package reference

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// kind is what there is to say about one kind of values.
type kind struct {
	name, text string // in tables: the name; on the page of values: what it is
	examples   string // in Markdown
}

var kinds = map[spec.Kind]kind{
	spec.String:     {"text", "Any word. One with blanks in it stands in quotes.", "`web`, `\"two words\"`"},
	spec.Template:   {"template", "Text with [placeholders](placeholders.md), filled in for each exchange.", "`/new{http.path}`"},
	spec.Int:        {"number", "A whole number.", "`0`, `25000`"},
	spec.Duration:   {"duration", "A time with its unit: `ms`, `s`, `m`, `h` or `d`. A number without a unit is an error.", "`250ms`, `2s`, `1h30m`, `7d`"},
	spec.Size:       {"size", "An amount of bytes with its unit: `B`; `KB`, `MB`, `GB`, `TB` (powers of 1000); `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024).", "`64KiB`, `10MB`"},
	spec.Rate:       {"rate", "Events in a time: per second (`/s`), minute (`/m`), hour (`/h`) or day (`/d`).", "`100/s`, `20/m`"},
	spec.Percent:    {"percentage", "A percentage, with its sign.", "`75%`"},
	spec.Enum:       {"one of", "One of the words that are listed.", ""},
	spec.Network:    {"network", "An IP network or a single address, of either version.", "`10.0.0.0/8`, `2001:db8::/32`, `10.1.2.3`"},
	spec.Address:    {"address", "Where a server listens: a host or an IP address and a port, or a unix socket.", "`10.0.0.1:80`, `[::1]:80`, `unix//run/app.sock`"},
	spec.SinkAddr:   {"sink address", "Where lines are sent: over UDP, TCP or a unix socket.", "`udp://127.0.0.1:514`, `unix//dev/log`"},
	spec.File:       {"file", "The name of a file, relative to the configuration file it is written in.", "`certs/site.pem`, `/etc/ssl/site.pem`"},
	spec.Status:     {"HTTP status", "One status, 100 to 599.", "`404`"},
	spec.Statuses:   {"HTTP statuses", "Statuses, stretches and classes, joined by commas.", "`200`, `200-399`, `5xx`, `200,404`"},
	spec.Pattern:    {"pattern", "A glob, in which `*` stands for any text; or, behind a `~`, a regular expression ([RE2](https://github.com/google/re2/wiki/Syntax)).", "`/img/*`, `*.png`, `~^/v[0-9]+/`"},
	spec.PoolRef:    {"pool", "The name of a pool. Where a directive takes several, addresses make a pool without a name.", "`web`, `10.0.0.1:80`"},
	spec.TableRef:   {"table", "The name of a table.", "`clients`"},
	spec.HeaderName: {"header name", "The name of an HTTP header field, without its colon.", "`X-Request-Id`"},
	spec.Port:       {"port", "A port, 1 to 65535.", "`8080`"},
}

// kindOrder is the order of the page of values.
var kindOrder = []spec.Kind{
	spec.String, spec.Template, spec.Int, spec.Duration, spec.Size, spec.Rate, spec.Percent, spec.Network,
	spec.Address, spec.SinkAddr, spec.Port, spec.Pattern, spec.Status, spec.Statuses, spec.HeaderName, spec.File,
	spec.PoolRef, spec.TableRef,
}

// valueText says what an argument takes, with its bounds.
func valueText(a *spec.Arg) string {
	k := kinds[a.Kind]
	if a.Kind == spec.Enum {
		return strings.Join(quoteAll(a.Words), ", ")
	}
	name := k.name
	if a.Log && len(a.Words) > 0 {
		name = strings.Join(quoteAll(a.Words), ", ") + ", or a " + name
	}
	switch {
	case a.Min != 0 && a.Max != 0:
		name += ", " + number(a.Kind, a.Min) + " to " + number(a.Kind, a.Max)
	case a.Max != 0:
		name += ", at most " + number(a.Kind, a.Max)
	case a.Min != 0:
		name += ", at least " + number(a.Kind, a.Min)
	}
	return name
}

func quoteAll(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = "`" + w + "`"
	}
	return out
}

// number writes a bound with its unit.
func number(k spec.Kind, n int64) string {
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
		for _, u := range []struct {
			name   string
			factor int64
		}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
			if n != 0 && n%u.factor == 0 {
				return strconv.FormatInt(n/u.factor, 10) + u.name
			}
		}
		return strconv.FormatInt(n, 10) + "B"
	case spec.Percent:
		return fmt.Sprintf("%d%%", n)
	default:
		return strconv.FormatInt(n, 10)
	}
}
