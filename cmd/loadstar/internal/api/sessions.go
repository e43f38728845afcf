package api

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Sessions is what is in flight.
type Sessions struct {
	Sessions []Session `json:"sessions"`
	All      int       `json:"all"` // how many there are, shown or not
}

// Session is an exchange, a tunnel or a stream at a server.
type Session struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"` // exchange, tunnel or stream
	Pool       string  `json:"pool"`
	Server     string  `json:"server"`
	Address    string  `json:"address"` // of the server
	Client     string  `json:"client"`
	Connection uint64  `json:"connection"` // the client's; see /connections
	Site       string  `json:"site"`
	Method     string  `json:"method,omitempty"`
	Target     string  `json:"target,omitempty"` // without its query
	Seconds    float64 `json:"seconds"`          // since the server was chosen
}

// The number of things that are shown where nobody says how many.
const shown = 1000

func limit(c *call) (int, error) {
	s := c.URL.Query().Get("limit")
	if s == "" {
		return shown, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1_000_000 {
		return 0, bad("%q is no limit", clip(s))
	}
	return n, nil
}

// chosen tells which flights the query asks for.
func chosen(c *call) func(upstream.FlightInfo) bool {
	pool, server := c.URL.Query().Get("pool"), c.URL.Query().Get("server")
	return func(f upstream.FlightInfo) bool {
		return (pool == "" || f.Server.Pool == pool) && (server == "" || f.Server.Name == server)
	}
}

func sessions(c *call) (any, error) {
	most, err := limit(c)
	if err != nil {
		return nil, err
	}
	want, now := chosen(c), flow.Now()
	out := Sessions{Sessions: []Session{}}
	c.p.EachFlight(func(f upstream.FlightInfo) {
		if !want(f) {
			return
		}
		out.Sessions = append(out.Sessions, Session{
			ID: f.ID, Kind: f.Kind.String(), Pool: f.Server.Pool, Server: f.Server.Name, Address: f.Server.Address,
			Client: f.Client.String(), Connection: f.Conn, Site: f.Site, Method: printable(f.Method), Target: printable(f.Target),
			Seconds: float64(max(now-f.Since, 0)) / float64(time.Second),
		})
	})
	out.All = len(out.Sessions)
	slices.SortFunc(out.Sessions, func(a, b Session) int { return cmp.Compare(b.Seconds, a.Seconds) })
	out.Sessions = out.Sessions[:min(most, len(out.Sessions))]
	return out, nil
}

func shutSessions(c *call) (any, error) {
	q := c.URL.Query()
	if id := q.Get("id"); id != "" {
		if n := c.p.ShutFlights(func(f upstream.FlightInfo) bool { return f.ID == id }); n > 0 {
			return Count{n}, nil
		}
		return nil, &Problem{code: http.StatusNotFound, Message: "there is no session " + clip(id) + " any more"}
	}
	if q.Get("pool") == "" || q.Get("server") == "" {
		return nil, bad("say which: ?id=ID, or ?pool=POOL&server=SERVER")
	}
	if _, err := find(c, q.Get("pool"), q.Get("server")); err != nil && c.count(chosen(c)) == 0 {
		return nil, err // a server that was removed may have sessions still
	}
	return Count{c.p.ShutFlights(chosen(c))}, nil
}

func (c *call) count(want func(upstream.FlightInfo) bool) (n int) {
	c.p.EachFlight(func(f upstream.FlightInfo) {
		if want(f) {
			n++
		}
	})
	return n
}

// Connections are those of clients.
type Connections struct {
	Connections []Connection `json:"connections"`
	All         int          `json:"all"`
}

// Connection is one of a client.
type Connection struct {
	ID       uint64    `json:"id"`
	Client   string    `json:"client,omitempty"` // the peer, or whom its PROXY header named
	Peer     string    `json:"peer,omitempty"`   // the other end of the socket
	Local    string    `json:"local,omitempty"`  // our end of it
	Socket   string    `json:"socket"`
	Accepted time.Time `json:"accepted"`
	Idle     bool      `json:"idle"` // nothing is in progress
}

func connections(c *call) (any, error) {
	most, err := limit(c)
	if err != nil {
		return nil, err
	}
	out := Connections{Connections: []Connection{}}
	c.p.EachConn(func(i listener.ConnInfo) {
		v := Connection{ID: i.ID, Socket: i.Socket, Accepted: i.Accepted, Idle: i.Idle}
		if i.Peer.IsValid() {
			v.Peer = i.Peer.String()
		}
		if i.Client.IsValid() {
			v.Client = i.Client.String()
		}
		if i.Local.IsValid() {
			v.Local = i.Local.String()
		}
		out.Connections = append(out.Connections, v)
	})
	out.All = len(out.Connections)
	slices.SortFunc(out.Connections, func(a, b Connection) int { return cmp.Compare(a.ID, b.ID) })
	out.Connections = out.Connections[:min(most, len(out.Connections))]
	return out, nil
}

func closeConnection(c *call) (any, error) {
	id, err := strconv.ParseUint(c.PathValue("id"), 10, 64)
	if err != nil {
		return nil, bad("%q is no number of a connection", clip(c.PathValue("id")))
	}
	if !c.p.CloseConn(id) {
		return nil, &Problem{code: http.StatusNotFound, Message: "there is no connection " + clip(c.PathValue("id")) + " any more"}
	}
	return Count{1}, nil
}
