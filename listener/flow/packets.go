package flow

import "net"

// PacketServer serves the connections that it makes of what arrives at UDP
// sockets (QUIC).
type PacketServer interface {
	ConnServer
	// Endpoint takes a UDP socket over. The secret is what answers to packets
	// of unknown connections and address tokens are derived from.
	Endpoint(pc *net.UDPConn, secret *[64]byte) PacketEndpoint
}

// PacketEndpoint is a UDP socket with its connections.
type PacketEndpoint interface {
	// Listen gives the connections to come, for ServeConn; their handshakes are
	// held by the TLS settings of the binding in source. There may be one
	// listener at a time; closing it leaves connections alone, and gives those
	// that wait to be accepted before it ends.
	Listen(source *Source) (net.Listener, error)
	// Links gives, as texts, the ways by which an heir reaches this endpoint and
	// those before it. An heir is another process that goes on with the socket:
	// connections stay where they are, and what arrives for them is passed on.
	Links() ([]string, error)
	// Succeed makes the endpoint an heir, before Listen: it reads the socket once
	// begin is closed, nil at once, and passes on what is for others.
	Succeed(links []string, begin <-chan struct{}) error
	// Surrender leaves reading the socket to an heir; false if nobody asked for
	// Links, and so nothing would be passed on.
	Surrender() bool
	// Close ends what is left of the connections, and closes the socket.
	Close() error
}

// Packets is what a generation says of a UDP socket.
type Packets struct {
	// Secret is kept over restarts; see PacketServer.
	Secret [64]byte
	// EarlyData lets clients that come again send requests with their first
	// packets (0-RTT); which of them are served is each site's to say.
	EarlyData bool
}
