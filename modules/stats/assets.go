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
	"'; img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// icon keeps browsers from asking the site for one, which the servers would get.
const icon = `<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Cpath d='M1 7V4h1v3zM3.5 7V1h1v6zM6 7V3h1v4z' fill='%233b74d9'/%3E%3C/svg%3E">` + "\n"

func digest(s string) string {
	h := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(h[:])
}
