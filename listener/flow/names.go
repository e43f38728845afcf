package flow

// ID names a field that the proxy itself looks at, so that finding it is a
// comparison of bytes rather than of strings.
type ID uint8

// Unknown is the ID of every field that has none of its own.
const Unknown ID = 0

// The well-known fields.
const (
	FieldHost ID = iota + 1
	FieldConnection
	FieldContentLength
	FieldTransferEncoding
	FieldUpgrade
	FieldExpect
	FieldTE
	FieldTrailer
	FieldKeepAlive
	FieldProxyConnection
	FieldHTTP2Settings
	FieldXForwardedFor
	FieldXForwardedProto
	FieldXForwardedHost
	FieldXForwardedPort
	FieldXForwardedPrefix
	FieldForwarded
	FieldXRealIP
	FieldCookie
	FieldSetCookie
	FieldAuthorization
	FieldProxyAuthorization
	FieldProxyAuthenticate
	FieldCacheControl
	FieldContentType
	FieldDate
	FieldServer
	FieldLocation
	FieldVia
	FieldVary
	FieldETag
	FieldLastModified
	FieldExpires
	FieldUserAgent
	FieldAccept
	FieldAcceptEncoding
	FieldReferer
	FieldSecWebSocketKey
	FieldSecWebSocketAccept
	idCount

	tombstone ID = 255
)

var idNames = [idCount]string{
	FieldHost: "Host", FieldConnection: "Connection", FieldContentLength: "Content-Length",
	FieldTransferEncoding: "Transfer-Encoding", FieldUpgrade: "Upgrade", FieldExpect: "Expect", FieldTE: "TE",
	FieldTrailer: "Trailer", FieldKeepAlive: "Keep-Alive", FieldProxyConnection: "Proxy-Connection",
	FieldHTTP2Settings: "HTTP2-Settings", FieldXForwardedFor: "X-Forwarded-For",
	FieldXForwardedProto: "X-Forwarded-Proto", FieldXForwardedHost: "X-Forwarded-Host",
	FieldXForwardedPort: "X-Forwarded-Port", FieldXForwardedPrefix: "X-Forwarded-Prefix",
	FieldForwarded: "Forwarded", FieldXRealIP: "X-Real-IP", FieldCookie: "Cookie", FieldSetCookie: "Set-Cookie",
	FieldAuthorization: "Authorization", FieldProxyAuthorization: "Proxy-Authorization",
	FieldProxyAuthenticate: "Proxy-Authenticate", FieldCacheControl: "Cache-Control",
	FieldContentType: "Content-Type", FieldDate: "Date", FieldServer: "Server", FieldLocation: "Location", FieldVia: "Via",
	FieldVary: "Vary", FieldETag: "ETag", FieldLastModified: "Last-Modified", FieldExpires: "Expires",
	FieldUserAgent: "User-Agent", FieldAccept: "Accept", FieldAcceptEncoding: "Accept-Encoding",
	FieldReferer: "Referer", FieldSecWebSocketKey: "Sec-WebSocket-Key",
	FieldSecWebSocketAccept: "Sec-WebSocket-Accept",
}

// Name gives the canonical spelling.
func (id ID) Name() string {
	if id < idCount {
		return idNames[id]
	}
	return ""
}

// maxKnown bounds the length of a well-known name.
const maxKnown = 24

// idTable is a perfect-enough hash of the well-known names: by length, first
// and last letter, with linear probing. It is filled once, before main.
var idTable = func() (t [256]ID) {
	for id := FieldHost; id < idCount; id++ {
		n := idNames[id]
		i := idHash(len(n), n[0], n[len(n)-1])
		for t[i] != Unknown {
			i++
		}
		t[i] = id
	}
	return t
}()

func idHash(n int, first, last byte) uint8 {
	return uint8(n)*31 ^ (first|0x20)*7 ^ (last|0x20)*13
}

// Lookup finds the ID of a name, in any case; Unknown if it has none.
func Lookup(name string) ID { return lookup(name) }

// LookupBytes is Lookup for bytes.
func LookupBytes(name []byte) ID { return lookup(name) }

func lookup[T ~string | ~[]byte](name T) ID {
	if len(name) == 0 || len(name) > maxKnown {
		return Unknown
	}
	for i := idHash(len(name), name[0], name[len(name)-1]); idTable[i] != Unknown; i++ {
		if id := idTable[i]; EqualFold(name, idNames[id]) {
			return id
		}
	}
	return Unknown
}

// Secret reports the fields whose values no table of field sections may hold, for
// they could be guessed by how well they compress (RFC 7541 §7.1.3, RFC 9204 §7.1.3).
func Secret(id ID) bool {
	const secrets = 1<<FieldSetCookie | 1<<FieldCookie | 1<<FieldAuthorization | 1<<FieldProxyAuthorization
	return id < 64 && uint64(secrets)>>id&1 != 0
}

// EqualFold compares without regard to ASCII case, which is all that field
// names and tokens know (RFC 9110 §5.1).
func EqualFold[A, B ~string | ~[]byte](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func hasUpper(p []byte) bool {
	for _, c := range p {
		if 'A' <= c && c <= 'Z' {
			return true
		}
	}
	return false
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
