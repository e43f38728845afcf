// Package multi holds what HTTP/2 and HTTP/3 have in common, beyond the wire:
// heads that come field by field (Head), what of an answer's head may leave,
// extended CONNECT, the goroutines that serve streams (Workers), faults, and the
// budget of a client that makes work (Budget). What is refused is refused in both
// versions by the same lines.
package multi
