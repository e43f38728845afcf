// Package http3 is the codec of HTTP/3 (RFC 9114) and of QPACK (RFC 9204)
// without its dynamic table. It knows bytes only; streams are those of package
// listener/http3.
package http3
