package dsl_test

import "github.com/loadstar-lb/loadstar/dsl/spec"

// vocabulary is small, but has one word of every shape that the language
// knows; the real one is assembled above.
func vocabulary() *spec.Vocabulary {
	level := spec.Word{Name: "level", Default: "info", Args: []spec.Arg{{Name: "LEVEL", Kind: spec.Enum, Words: []string{"debug", "info", "notice", "err"}}}}
	format := spec.Word{Name: "format", Args: []spec.Arg{{Name: "FORMAT", Kind: spec.Enum, Words: []string{"httplog", "tcplog", "json"}}}}
	syslog := spec.Word{
		Name: "syslog", Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.SinkAddr, Optional: true}},
		Options: []spec.Word{{Name: "facility", Default: "local0", Args: []spec.Arg{{Name: "FACILITY", Kind: spec.Enum, Words: []string{"local0", "local1", "daemon"}}}}, level, format},
	}
	file := spec.Word{Name: "file", Args: []spec.Arg{{Name: "PATH", Kind: spec.File}}, Options: []spec.Word{level, format}}
	return &spec.Vocabulary{
		Directives: append(append(siteWords(), poolWords()...),
			spec.Word{Name: "log", In: spec.InProcess, Repeat: true, Variants: []spec.Word{syslog, file}},
			spec.Word{Name: "log", In: spec.InSite, Repeat: true, Variant: "process", Variants: []spec.Word{syslog, file, {Name: "process"}, {Name: "off"}}},
			spec.Word{Name: "maxconn", In: spec.InProcess | spec.InSite, Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 1000000}}},
			spec.Word{Name: "admin", In: spec.InProcess, Default: "unix//run/loadstar/admin.sock", Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.Address}}},
			spec.Word{Name: "table", In: spec.InTop, Args: []spec.Arg{{Name: "NAME", Kind: spec.String}}, Options: []spec.Word{
				{Name: "type", Required: true, Args: []spec.Arg{{Name: "TYPE", Kind: spec.Enum, Words: []string{"ip", "string"}}}},
				{Name: "size", Default: "100", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1}}},
			}},
			spec.Word{Name: "test", In: spec.InTop, Args: []spec.Arg{{Name: "NAME", Kind: spec.String}}, Options: []spec.Word{
				{Name: "request", Args: []spec.Arg{{Name: "METHOD", Kind: spec.String}, {Name: "URL", Kind: spec.String}}},
				{Name: "expect", Repeat: true, Variants: []spec.Word{{Name: "pool", Args: []spec.Arg{{Name: "NAME", Kind: spec.String}}}}},
			}},
			spec.Word{Name: "learn", In: spec.InPool, Args: []spec.Arg{{Name: "TABLE", Kind: spec.TableRef}}},
			spec.Word{Name: "timeout", In: spec.InSite | spec.InPool, Options: timeouts("5s"), Default: "connect 5s"},
		),
		Matchers: []spec.Word{
			{Name: "host", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "HOST", Kind: spec.Pattern, Variadic: true}}},
			{Name: "path", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "PATH", Kind: spec.Pattern, Variadic: true}}},
			{Name: "url", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "URL", Kind: spec.Pattern, Variadic: true}}},
			{Name: "method", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "METHOD", Kind: spec.String, Variadic: true}}},
			{Name: "header", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName}, {Name: "VALUE", Kind: spec.Pattern, Variadic: true, Optional: true}}},
			{Name: "sni", In: spec.InTCPSite, Args: []spec.Arg{{Name: "NAME", Kind: spec.Pattern, Variadic: true}}},
			{Name: "client", In: spec.InSite, Args: []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true}}},
			{Name: "port", In: spec.InSite, Args: []spec.Arg{{Name: "PORT", Kind: spec.Port, Variadic: true}}},
		},
		Placeholders: []spec.Placeholder{{Name: "client.ip"}, {Name: "http.host", HTTP: true}, {Name: "http.header.*", HTTP: true}},
	}
}

func siteWords() []spec.Word {
	status := spec.Arg{Name: "STATUS", Kind: spec.Status, Optional: true}
	return []spec.Word{
		{Name: "proxy", In: spec.InSite, Matcher: true, Body: spec.InPool, Args: []spec.Arg{{Name: "POOL", Kind: spec.PoolRef, Variadic: true}}},
		{Name: "redirect", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{{Name: "TO", Kind: spec.Template}, status}},
		{Name: "rewrite", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{{Name: "TO", Kind: spec.Template}}},
		{Name: "respond", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{status, {Name: "BODY", Kind: spec.Template, Optional: true}}},
		{Name: "deny", In: spec.InSite, Matcher: true, Args: []spec.Arg{{Name: "STATUS", Kind: spec.Status, Optional: true, Default: "403"}}},
		{Name: "handle", In: spec.InHTTPSite, Matcher: true, Body: spec.InHTTPSite},
		{Name: "header", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{{Name: "NAME", Kind: spec.HeaderName}, {Name: "VALUE", Kind: spec.Template, Optional: true}}},
		{Name: "error", In: spec.InHTTPSite, Repeat: true, Args: []spec.Arg{{Name: "STATUSES", Kind: spec.Statuses}, {Name: "BODY", Kind: spec.Template}}},
		{Name: "bind", In: spec.InSite, Args: []spec.Arg{{Name: "ADDRESS", Kind: spec.String, Variadic: true}}},
		{Name: "trusted_proxies", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "NETWORK", Kind: spec.Network, Variadic: true}}},
		{Name: "stats", In: spec.InHTTPSite, Args: []spec.Arg{{Name: "PATH", Kind: spec.Pattern}}, Options: []spec.Word{
			{Name: "realm", Args: []spec.Arg{{Name: "TEXT", Kind: spec.String}}},
			{Name: "auth", Repeat: true, Args: []spec.Arg{{Name: "USER", Kind: spec.String}, {Name: "HASH", Kind: spec.String}}},
		}},
		{Name: "tls", In: spec.InSite, Options: []spec.Word{{Name: "cert", Required: true, Args: []spec.Arg{{Name: "FILE", Kind: spec.File}}}}},
		{Name: "limit", In: spec.InHTTPSite, Matcher: true, Args: []spec.Arg{{Name: "RATE", Kind: spec.Rate}}, Options: []spec.Word{
			{Name: "body", Args: []spec.Arg{{Name: "SIZE", Kind: spec.Size, Min: 1024, Max: 1 << 30}}},
			{Name: "share", Args: []spec.Arg{{Name: "SHARE", Kind: spec.Percent, Max: 100}}},
		}},
	}
}

func timeouts(connect string) []spec.Word {
	d := func(name, def string) spec.Word {
		return spec.Word{Name: name, Default: def, Args: []spec.Arg{{Name: "TIME", Kind: spec.Duration, Min: 1e6, Max: 864e11}}}
	}
	return []spec.Word{d("connect", connect), d("first_byte", ""), d("idle", ""), d("queue", "")}
}

func healthWord(server bool) spec.Word {
	d := func(name, def string) spec.Word {
		if server {
			def = ""
		}
		return spec.Word{Name: name, Default: def, Args: []spec.Arg{{Name: "TIME", Kind: spec.Duration, Min: 1e6}}}
	}
	common := []spec.Word{
		d("interval", "2s"), d("timeout", ""),
		{Name: "rise", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 100}}},
		{Name: "fall", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 100}}},
	}
	http := spec.Word{
		Name: "http", Args: []spec.Arg{
			{Name: "METHOD", Kind: spec.Enum, Words: []string{"GET", "HEAD", "OPTIONS"}, Optional: true, Default: "OPTIONS"},
			{Name: "PATH", Kind: spec.String, Optional: true, Default: "/"},
		},
		Options: []spec.Word{{Name: "expect", Args: []spec.Arg{{Name: "STATUSES", Kind: spec.Statuses, Variadic: true}}}},
	}
	w := spec.Word{Name: "health", In: spec.InPool, Options: common, Variants: []spec.Word{http, {Name: "tcp"}, {Name: "tls"}, {Name: "off"}}}
	if server {
		w.Variant = "tcp"
	}
	return w
}

func poolWords() []spec.Word {
	serverTimeout := spec.Word{Name: "timeout", Options: timeouts("")}
	health := healthWord(false)
	return []spec.Word{
		{Name: "balance", In: spec.InPool, Default: "roundrobin", Variants: []spec.Word{
			{Name: "roundrobin"}, {Name: "leastconn"}, {Name: "source"},
			{Name: "random", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 100, Optional: true, Default: "2"}}},
			{Name: "uri", Options: []spec.Word{{Name: "whole"}, {Name: "len", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1}}}}},
		}},
		{Name: "server", In: spec.InPool, Repeat: true,
			Args: []spec.Arg{{Name: "NAME", Kind: spec.String}, {Name: "ADDRESS", Kind: spec.Address}},
			Options: []spec.Word{
				{Name: "weight", Default: "1", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Max: 256}}},
				{Name: "maxconn", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1}}},
				{Name: "cookie", Args: []spec.Arg{{Name: "VALUE", Kind: spec.String}}},
				{Name: "backup"}, {Name: "disabled"}, healthWord(true), serverTimeout,
			}},
		health,
		{Name: "persist", In: spec.InPool, Variants: []spec.Word{
			{Name: "cookie", Args: []spec.Arg{{Name: "NAME", Kind: spec.String}}, Options: []spec.Word{
				{Name: "insert"}, {Name: "rewrite"}, {Name: "indirect"}, {Name: "nocache"},
				{Name: "domain", Repeat: true, Args: []spec.Arg{{Name: "D", Kind: spec.String}}}}},
			{Name: "source"},
		}},
		{Name: "queue", In: spec.InPool, Options: []spec.Word{
			{Name: "timeout", Default: "5s", Args: []spec.Arg{{Name: "TIME", Kind: spec.Duration}}},
			{Name: "size", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1}}}}},
		{Name: "retry", In: spec.InPool, Default: "3 redispatch", Args: []spec.Arg{{Name: "N", Kind: spec.Int, Max: 10}}, Options: []spec.Word{{Name: "redispatch"}}},
	}
}
