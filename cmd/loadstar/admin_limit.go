package main

import (
	"net"
	"sync"
)

// limitListener holds the number of open connections to max; more wait in the
// kernel's queue.
func limitListener(l net.Listener, max int) net.Listener {
	return &limited{Listener: l, slots: make(chan struct{}, max), closed: make(chan struct{})}
}

type limited struct {
	net.Listener
	slots  chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, l: l}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	l    *limited
	once sync.Once
}

func (c *limitedConn) Close() error {
	c.once.Do(func() { <-c.l.slots })
	return c.Conn.Close()
}
