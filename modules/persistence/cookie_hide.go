package persistence

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"

	"github.com/loadstar-lb/loadstar/modules/upstream"
)

const (
	minSecret   = 16 // bytes
	hiddenBytes = 12 // of the hash that are kept: 16 characters in the cookie
)

// hidden gives the value that stands for a server in a cookie that shows nothing
// of it. The pool's name goes in, so that the values of one pool tell nothing of
// another's.
func hidden(secret, pool string, s *upstream.Server) string {
	h := hmac.New(sha256.New, []byte(secret))
	kind, value := "cookie", s.Cookie
	if value == "" {
		kind, value = "name", s.Name
	}
	for _, part := range []string{pool, kind, value} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:hiddenBytes])
}
