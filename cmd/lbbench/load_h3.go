//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/loadstar-lb/loadstar/cmd/internal/rig"
)

// askHTTP3 asks on one QUIC connection, plan.Streams requests at a time.
func (c *crowd) askHTTP3(int) {
	t := newHTTP3(rig.Addr(c.plan.Port))
	defer func() { _ = t.Close() }()
	var wg sync.WaitGroup
	for range c.plan.Streams {
		wg.Go(func() {
			for !c.ending.Load() {
				began := time.Now()
				n, err := c.getHTTP3(t)
				if err != nil {
					if !c.fail(err) {
						return
					}
					continue
				}
				c.finish(began, n)
			}
		})
	}
	wg.Wait()
}

func (c *crowd) getHTTP3(t http.RoundTripper) (int64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.plan.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s:%d/bytes/%d", tlsName, c.plan.Port, c.plan.Size), nil)
	if err != nil {
		return 0, err
	}
	res, err := t.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err == nil && (res.StatusCode != http.StatusOK || n != c.plan.Size) {
		err = fmt.Errorf("%w: status %d, %d bytes", errWrongAnswer, res.StatusCode, n)
	}
	return n, err
}

// newHTTP3 is a client with one connection to an address, whatever the name.
func newHTTP3(addr string) *http3.Transport {
	return &http3.Transport{
		TLSClientConfig: clientTLS(nil),
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, addr, tc, qc)
		},
	}
}
