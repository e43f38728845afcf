package explain

import "time"

// The outcomes of a request.
const (
	Proxied  = "proxy"   // a server gets it
	Answered = "answer"  // Loadstar answers it
	Closed   = "close"   // the stream is closed
	Refused  = "refused" // there is nobody to take it
)

// Answer is what would become of a request.
type Answer struct {
	Request     string       `json:"request"`
	From        string       `json:"from"`
	Listener    *Listener    `json:"listener,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"` // nil: in clear, or untouched
	Site        string       `json:"site,omitempty"`
	SiteAt      string       `json:"site_at,omitempty"`
	Client      string       `json:"client,omitempty"` // whom the site takes the client for
	Routes      []Route      `json:"routes,omitempty"`
	NotAsked    int          `json:"not_asked,omitempty"` // routes below the one that decided
	Outcome     string       `json:"outcome"`
	Reason      string       `json:"reason,omitempty"` // in words
	Status      int          `json:"status,omitempty"`
	Target      string       `json:"target,omitempty"` // as servers get it
	Header      []Field      `json:"header,omitempty"` // of the request as servers get it, or of the answer
	Pool        *Pool        `json:"pool,omitempty"`
	Notes       []string     `json:"notes,omitempty"`
}

// Listener is the socket.
type Listener struct {
	Network string `json:"network"`
	Address string `json:"address"`
	TLS     bool   `json:"tls"`
}

// Certificate is what a client would be shown.
type Certificate struct {
	Names    []string  `json:"names"`
	Issuer   string    `json:"issuer"`
	NotAfter time.Time `json:"not_after"`
	Covers   bool      `json:"covers"` // the name that was asked for
	Version  string    `json:"version"`
	ALPN     string    `json:"alpn,omitempty"`
}

// Route is one directive that the request came by.
type Route struct {
	Text      string     `json:"text"`
	At        string     `json:"at"`
	Depth     int        `json:"depth,omitempty"` // in groups
	Taken     bool       `json:"taken"`
	Skipped   bool       `json:"skipped,omitempty"` // another group of the block has run
	Condition *Condition `json:"condition,omitempty"`
	Effect    string     `json:"effect,omitempty"`
}

// Condition is a matcher, or what joins several.
type Condition struct {
	Op     string      `json:"op"` // test, and, or, not
	Text   string      `json:"text,omitempty"`
	Result bool        `json:"result"`
	Value  string      `json:"value,omitempty"` // what the test looked at
	By     string      `json:"by,omitempty"`    // the value of the test that decided
	Kids   []Condition `json:"kids,omitempty"`
}

// Field is a header field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Pool is where a request goes.
type Pool struct {
	Name    string   `json:"name"`
	Balance string   `json:"balance"`
	Persist string   `json:"persist,omitempty"`
	Found   string   `json:"found,omitempty"` // the server that persistence names
	Servers []Server `json:"servers"`
}

// Server is one server of the pool.
type Server struct {
	Name    string  `json:"name"`
	Address string  `json:"address"`
	Weight  int     `json:"weight"`
	Chance  float64 `json:"chance"` // 0 to 1
	Why     string  `json:"why,omitempty"`
}
