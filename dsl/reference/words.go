package reference

// What the reference says of the language's frame, which no module declares.

const readmeIntro = "# Reference of the Lbfile language\n\n" +
	"An Lbfile says which ports are opened, what happens to each request or stream, and which servers do the work:\n\n" +
	"```lbfile\n" + `http://:8080 {
	@images path /img/* *.png
	respond @images 404
	proxy web
}

pool web {
	balance leastconn
	health http GET /health interval 2s
	server one 10.0.0.1:80 weight 2
	server two 10.0.0.2:80
}
` + "```\n\n" +
	"Directives run in the order they are written; the first one that answers ends the exchange. An option stands on its\n" +
	"directive's line or on a line of its own in the directive's block; both mean the same:\n\n" +
	"```lbfile\n" + `http://:8080 {
	proxy web
}

pool web {
	health http GET /health {
		interval 2s
		rise 2
	}
	server one 10.0.0.1:80
}
` + "```\n\n" +
	"In usage lines, words in capitals stand for values, `[…]` may be left out, `A|B` is a choice, and `…` stands for\n" +
	"one or more. Editors show the same texts while one types: see [editors](../editors.md).\n\n## Pages\n\n"

const matchersIntro = "# Matchers\n\n" +
	"A matcher is a condition with a name. It is defined in a site, or in a `handle` block, by `@NAME EXPRESSION`, and\n" +
	"used as the first argument of a directive, which then runs for what it matches only:\n\n" +
	"```lbfile\n" + `http://:8080 {
	@images path /img/* *.png and not client 10.0.0.0/8
	deny @images 403
	respond /health 200 "ok\n"
	proxy 127.0.0.1:9001
}
` + "```\n\n" +
	"Several values behind one word mean *either*. Conditions are joined by `and`, `or` and `not`, and grouped by\n" +
	"parentheses; `and` binds closer than `or`. A matcher may name another one. Strings match by glob, or, behind a `~`,\n" +
	"by regular expression: see [values](values.md). A path that begins with `/` needs no name: it can stand in a\n" +
	"directive directly.\n"

const languagePage = "# The language\n\n## Text\n\n" +
	"A file is UTF-8 text, named `Lbfile` or ending in `.lb`. A line is a directive and its words; `{` as the last word\n" +
	"opens a block, and `}` alone on a line closes it. A backslash at the end of a line joins it with the next. `#` at the\n" +
	"start of a word begins a comment.\n\n" +
	"| written | is |\n| --- | --- |\n" +
	"| `word` | a word, up to the next blank |\n" +
	"| `\"two words\\n\"` | a word with escapes: `\\\"` `\\\\` `\\n` `\\t` |\n" +
	"| `` `as it is` `` | a word without escapes, over several lines if need be |\n" +
	"| `<<END` … `END` | a word of whole lines; the indentation that they share is dropped |\n" +
	"| `{$NAME}`, `{$NAME:default}` | a variable of the environment, within a word: it never becomes several words |\n" +
	"| `{client.ip}` | a [placeholder](placeholders.md), filled in for each exchange |\n\n" +
	"`lbfmt -w FILE` brings a file into its one form. Between the comments `# lbfmt: off` and `# lbfmt: on` it changes nothing.\n\n" +
	"## Global options\n\nThe first block of the file, if it has no name: see [global options](global-options.md).\n\n" +
	"## Sites\n\nA site is one address or several, separated by commas, and a block.\n\n" +
	"| address | means |\n| --- | --- |\n" +
	"| `example.com`, `*.example.com` | HTTPS on port 443 with an automatic certificate, and a redirection to it on port 80 |\n" +
	"| `http://example.com` | HTTP on port 80 for that host |\n" +
	"| `:8080`, `http://:8080` | HTTP on that port, for every host that no other site of the port names |\n" +
	"| `https://example.com:8443` | HTTPS on that port |\n" +
	"| `tcp://:443`, `tcp://10.0.0.5:5432` | streams, passed through as they are, TLS included |\n" +
	"| `tls://mail.example.com:993` | streams whose TLS ends here |\n" +
	"| `http://unix//run/web.sock` | HTTP on a unix socket |\n\n" +
	"```lbfile\n" + `http://:8080, http://example.com:8081 {
	respond "hello\n"
}
` + "```\n\n" +
	"Directives: [of every site](sites.md), [of HTTP sites](http-sites.md), [of tcp sites](tcp-sites.md).\n\n" +
	"## pool\n\nA named group of servers: `pool NAME { … }`. `proxy NAME` hands over to it. See [pools](pools.md).\n\n" +
	"## Snippets and import\n\n`(NAME) { … }` at the top level names lines to be used in several places by `import NAME`. Words behind the name are\n" +
	"arguments: `{args.0}` is the first one, `{args.*}` all of them.\n\n" +
	"```lbfile\n" + `(private) {
	@outside not client 10.0.0.0/8 127.0.0.0/8
	deny @outside {args.0}
}

http://:8080 {
	import private 403
	respond "hello\n"
}
` + "```\n\n" +
	"`import FILE` puts the lines of a file in its place; the name is relative to the file it stands in, and may be a\n" +
	"pattern such as `sites/*.lb`. A file that is missing is an error, and so is one that imports itself.\n\n" +
	"## test\n\n`test \"NAME\" { … }` says what is expected of the routing. `loadstar test` runs these blocks; `loadstar run` passes\n" +
	"over them.\n\n" +
	"```lbfile\n" + `http://:8080 {
	proxy web
}

pool web {
	server one 10.0.0.1:80
}

test "everything goes to web" {
	request GET http://localhost:8080/
	expect pool web
}
` + "```\n"
