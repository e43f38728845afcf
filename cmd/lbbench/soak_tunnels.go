//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// talk is what a tunnel needs of a connection.
type talk interface {
	io.ReadWriteCloser
	SetDeadline(t time.Time) error
}

// tunnel is a stream through the product on which each message comes back.
type tunnel struct {
	talk
	br   *bufio.Reader
	echo func(t *tunnel, message string) (string, error)
}

// holdTunnel opens one tunnel and talks on it until the load ends. A tunnel is
// never opened again but after it was cut, which is counted.
func (s *soak) holdTunnel(l *soakLoad, open func() (*tunnel, error), kind string) {
	for !l.stopped() {
		s.tally.tunnels.Add(1)
		t, err := open()
		if err != nil {
			s.tally.fault(&s.tally.cut, kind+" not opened: "+short(err))
			time.Sleep(100 * time.Millisecond)
			continue
		}
		for i := 0; !l.stopped(); i++ {
			message := fmt.Sprintf("%s message %d", kind, i)
			_ = t.SetDeadline(time.Now().Add(patience))
			got, err := t.echo(t, message)
			if err != nil {
				s.tally.fault(&s.tally.cut, kind+" cut: "+short(err))
				break
			}
			if got != message {
				s.tally.fault(&s.tally.cut, kind+": another message came back")
				break
			}
			s.tally.echoed.Add(1)
			time.Sleep(20 * time.Millisecond)
		}
		_ = t.Close()
	}
}

func (s *soak) openStream() (*tunnel, error) {
	c, err := net.DialTimeout("tcp", rig.Addr(s.setup.TCP), patience)
	if err != nil {
		return nil, err
	}
	return &tunnel{c, bufio.NewReader(c), func(t *tunnel, message string) (string, error) {
		if _, err := io.WriteString(t, message); err != nil {
			return "", err
		}
		got := make([]byte, len(message))
		_, err := io.ReadFull(t.br, got)
		return string(got), err
	}}, nil
}

func (s *soak) openWebSocket() (*tunnel, error) {
	return upgradeOn(net.DialTimeout("tcp", rig.Addr(s.setup.Web), patience))
}

// upgradeOn asks for a WebSocket on a connection that was just dialled.
func upgradeOn[C talk](c C, err error) (*tunnel, error) {
	if err != nil {
		return nil, err
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+tlsName+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "+websocketKey+"\r\n\r\n")
	t := newWebSocket(c)
	res, err := http.ReadResponse(t.br, nil)
	if err == nil {
		_ = res.Body.Close() // a 101 has none
	}
	if err == nil && (res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Accept") != websocketAccept(websocketKey)) {
		err = fmt.Errorf("%w: status %d", errWrongAnswer, res.StatusCode)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return t, nil
}

// newWebSocket is a tunnel that speaks in frames.
func newWebSocket(c talk) *tunnel {
	return &tunnel{c, bufio.NewReader(c), func(t *tunnel, message string) (string, error) {
		if _, err := t.Write(appendFrame(nil, []byte(message), true)); err != nil {
			return "", err
		}
		got, err := readFrame(t.br)
		return string(got), err
	}}
}
