package stats

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

//go:embed page.css
var style string

//go:embed page.js
var script string

// Policy is the page's Content-Security-Policy: nothing is loaded, nothing runs
// but the page's own style and script, and only the page's own site gets its forms
// and is asked for news. Even markup that slipped through would do nothing.
var Policy = "default-src 'none'; style-src '" + digest(style) + "'; script-src '" + digest(script) +
	"'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}
