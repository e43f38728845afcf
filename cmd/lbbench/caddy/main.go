// Command caddy is Caddy with its standard modules, pinned, for the comparison.
// It is a module of its own so that nothing of it enters Loadstar's.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() { caddycmd.Main() }
