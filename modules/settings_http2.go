package modules

import "github.com/loadstar-lb/loadstar/dsl/spec"

// http2Word is `http2` of the process: what one connection of a client may hold.
func http2Word() spec.Word {
	return spec.Word{
		Name: "http2", In: spec.InProcess, Example: "http2 streams 250 window 256KiB",
		Doc: "What a client's HTTP/2 connection may hold; clients are told in its SETTINGS",
		Long: "The defaults are for strangers: more streams and wider windows cost more memory when a client holds all of them. Wider windows " +
			"make uploads faster over long ways (a window is at most what travels in one round trip). Connections that stand keep what they were told.",
		Options: []spec.Word{
			{Name: "streams", Default: "100", Doc: "requests at a time",
				Args: []spec.Arg{{Name: "N", Kind: spec.Int, Min: 1, Max: 10_000, Doc: "a number"}}},
			{Name: "window", Default: "64KiB", Doc: "how much of a request's body may wait, a stream",
				Args: []spec.Arg{{Name: "SIZE", Kind: spec.Size, Min: 64 << 10, Max: 16 << 20, Doc: "bytes, from 64KiB to 16MiB"}}},
		},
	}
}
