package flow

// StartTLS is a protocol whose clients ask for TLS in clear first.
type StartTLS uint8

// The protocols.
const (
	NoStartTLS StartTLS = iota
	Postgres
)
