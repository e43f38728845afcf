// Package http1 is the HTTP/1 codec without sockets: heads parsed in place,
// chunked bodies decoded in place, heads written. It is as strict as RFC 9112
// wants an intermediary to be, and stricter where servers are known to
// disagree with each other: what two parsers could read in two ways is refused.
package http1
