//go:build linux

package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// soakServers stand behind the product: two that echo what is posted and speak
// WebSocket, one that is up but fails its checks, and one that echoes streams.
type soakServers struct {
	one, two, dead, echo int // ports
	listeners            []net.Listener
	sentToDead           atomic.Int64 // requests that are not health checks
}

func startSoakServers(withDead bool) (*soakServers, error) {
	s := &soakServers{}
	kinds := []struct {
		port  *int
		serve func(net.Conn)
	}{{&s.one, serveWeb}, {&s.two, serveWeb}, {&s.dead, s.serveDead}, {&s.echo, serveEcho}}
	for _, k := range kinds {
		if k.port == &s.dead && !withDead {
			continue
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.close()
			return nil, err
		}
		s.listeners = append(s.listeners, l)
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		if *k.port, err = strconv.Atoi(port); err != nil {
			return nil, err
		}
		go acceptLoop(l, k.serve)
	}
	return s, nil
}

func acceptLoop(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			serve(c)
		}()
	}
}

func (s *soakServers) close() {
	for _, l := range s.listeners {
		_ = l.Close()
	}
}

func serveEcho(c net.Conn) { _, _ = io.Copy(c, c) }

// serveWeb answers health checks, echoes posted bodies and WebSocket messages.
func serveWeb(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			serveWebSocket(c, br, r.Header.Get("Sec-WebSocket-Key"))
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		head := "HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n"
		if _, err := io.WriteString(c, head+string(body)); err != nil || r.Close {
			return
		}
	}
}

// serveDead fails its checks, and counts who asks nevertheless.
func (s *soakServers) serveDead(c net.Conn) {
	br := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(br)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.URL.Path != "/health" {
			s.sentToDead.Add(1)
		}
		if _, err := io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"); err != nil || r.Close {
			return
		}
	}
}
