//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// startedOrigin runs the origin in this process and gives its ports.
func startedOrigin(t *testing.T) (httpPort, tcpPort int) {
	t.Helper()
	in, stop := io.Pipe()
	out, ports := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- runOrigin(in, ports) }()
	t.Cleanup(func() {
		_ = stop.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if _, err := fmt.Fscan(bufio.NewReader(out), &httpPort, &tcpPort); err != nil {
		t.Fatal(err)
	}
	return httpPort, tcpPort
}

// TestLoadAgainstOrigin runs every kind of load straight against the origin:
// each must do work, without an error, and count what it received.
func TestLoadAgainstOrigin(t *testing.T) {
	httpPort, tcpPort := startedOrigin(t)
	for _, p := range []loadPlan{
		{Kind: "get", Conns: 4, Size: 64},
		{Kind: "get", Conns: 3, Size: 10 << 10},
		{Kind: "get", Conns: 2, Size: 1 << 20},
		{Kind: "get", Conns: 1, Size: 0},
		{Kind: "post", Conns: 4, Size: 100 << 10},
		{Kind: "close", Conns: 4, Size: 64},
		{Kind: "echo", Conns: 4, Size: 64},
		{Kind: "bulk", Conns: 2, Size: 3 << 20},
	} {
		t.Run(fmt.Sprint(p.Kind, p.Size), func(t *testing.T) {
			p.Time, p.Timeout, p.Port = 30*time.Millisecond, 5*time.Second, httpPort
			if p.Kind == "echo" || p.Kind == "bulk" {
				p.Port = tcpPort
			}
			var out bytes.Buffer
			if err := runLoad(p, strings.NewReader(""), &out); err != nil {
				t.Fatal(err)
			}
			var res loadResult
			if err := json.Unmarshal(out.Bytes(), &res); err != nil {
				t.Fatal(err)
			}
			each := p.Size
			if p.Kind == "post" {
				each = smallBody
			}
			if res.Done == 0 || res.Errors != 0 || res.Bytes != int64(res.Done)*each {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestIdleLoadWaitsForItsAnswers(t *testing.T) {
	httpPort, _ := startedOrigin(t)
	var out bytes.Buffer
	p := loadPlan{Kind: "idle", Conns: 100, Size: 64, Port: httpPort, Timeout: 5 * time.Second}
	if err := runLoad(p, strings.NewReader("\n"), &out); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "ready\n") || !strings.Contains(out.String(), `"Done":100`) {
		t.Errorf("it said %q", out.String())
	}
}

// TestLoadCountsFailures makes sure that a proxy that is not there cannot look fast.
func TestLoadCountsFailures(t *testing.T) {
	_, tcpPort := startedOrigin(t) // it answers no HTTP
	var out bytes.Buffer
	p := loadPlan{Kind: "idle", Conns: 1, Size: 64, Port: 1, Timeout: time.Second}
	if err := runLoad(p, strings.NewReader("\n"), &out); err == nil {
		t.Error("nothing listens on port 1, and the load was content")
	}
	out.Reset()
	p = loadPlan{Kind: "get", Conns: 1, Size: 64, Port: tcpPort, Time: 30 * time.Millisecond, Timeout: 50 * time.Millisecond}
	if err := runLoad(p, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	var res loadResult
	if err := json.Unmarshal(out.Bytes(), &res); err != nil || res.Done != 0 || res.Errors == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestParseAnswerHead(t *testing.T) {
	for head, want := range map[string]int64{
		"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n":                      12,
		"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length:0\r\nVia: y\r\n": 0,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n":              -1,
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n":              -1,
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n":                    -1,
	} {
		n, ok := parseAnswerHead([]byte(head))
		if ok != (want >= 0) || ok && n != want {
			t.Errorf("%q: %d, %v", head, n, ok)
		}
	}
}

func TestParseOriginHead(t *testing.T) {
	size, body, closing := parseOriginHead([]byte("POST /bytes/77 HTTP/1.1\r\nHost: a\r\ncontent-length: 9\r\nConnection: close\r\n"))
	if size != 77 || body != 9 || !closing {
		t.Error(size, body, closing)
	}
	size, body, closing = parseOriginHead([]byte("GET / HTTP/1.0\r\n"))
	if size != smallBody || body != 0 || !closing {
		t.Error(size, body, closing)
	}
}
