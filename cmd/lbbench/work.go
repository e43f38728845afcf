//go:build linux

package main

import "time"

// work is one row of the comparison.
type work struct {
	Name  string
	Doc   string
	Plan  loadPlan
	Unit  string  // what CPU time is divided by: request, message, GB, connection
	TCP   bool    // needs TCP passthrough
	Key   keyKind // of the certificate; "": without TLS
	H3    bool    // needs HTTP/3
	Log   bool    // with access logs to a syslog receiver
	Short bool    // stands in the short run, too
}

// GB is what bulk transfer is counted in.
const gb = 1 << 30

// idle tells that the work is to hold connections, and that memory is what counts.
func (w *work) idle() bool { return w.Unit == "connection" }

// works is the list. Sizes are bytes.
func works(short bool) []work {
	bulk := int64(gb)
	if short {
		bulk = gb / 4
	}
	all := []work{
		{Name: "get-1", Doc: "GET 64 B, keep-alive, 1 connection", Plan: loadPlan{Kind: "get", Conns: 1}, Short: true},
		{Name: "get-64", Doc: "GET 64 B, keep-alive, 64 connections", Plan: loadPlan{Kind: "get", Conns: 64}, Short: true},
		{Name: "get-512", Doc: "GET 64 B, keep-alive, 512 connections", Plan: loadPlan{Kind: "get", Conns: 512}, Short: true},
		{Name: "get-10k", Doc: "GET 10 KB, 64 connections", Plan: loadPlan{Kind: "get", Conns: 64, Size: 10 << 10}, Short: true},
		{Name: "get-1m", Doc: "GET 1 MB, 16 connections", Plan: loadPlan{Kind: "get", Conns: 16, Size: 1 << 20}, Short: true},
		{Name: "post-10k", Doc: "POST 10 KB, 64 connections", Plan: loadPlan{Kind: "post", Conns: 64, Size: 10 << 10}, Short: true},
		{Name: "close-64", Doc: "a connection per request, 64 at a time", Plan: loadPlan{Kind: "close", Conns: 64}, Short: true},
		{Name: "log-64", Doc: "GET 64 B, 64 connections, access log to syslog (UDP)", Plan: loadPlan{Kind: "get", Conns: 64}, Log: true},
		{Name: "tcp-bulk", Doc: "TCP passthrough, streams of 1 GB", Plan: loadPlan{Kind: "bulk", Conns: 1, Size: bulk}, Unit: "GB", TCP: true, Short: true},
		{Name: "tcp-echo", Doc: "TCP passthrough, 64 B messages to and fro, 64 connections", Plan: loadPlan{Kind: "echo", Conns: 64}, Unit: "message", TCP: true, Short: true},
		{Name: "idle", Doc: "10,000 idle connections after one request each", Plan: loadPlan{Kind: "idle", Conns: 10000, Timeout: 60 * time.Second}, Unit: "connection", Short: true},
		{Name: "tls-full", Doc: "TLS, full handshake (ECDSA P-256) and one request a connection", Plan: loadPlan{Kind: "tls-full", Conns: 16}, Key: ecdsaKey, Short: true},
		{Name: "tls-rsa", Doc: "TLS, full handshake (RSA 2048) and one request a connection", Plan: loadPlan{Kind: "tls-full", Conns: 16}, Key: rsaKey},
		{Name: "tls-resume", Doc: "TLS, resumption and one request a connection", Plan: loadPlan{Kind: "tls-resume", Conns: 16}, Key: ecdsaKey, Short: true},
		{Name: "tls-get", Doc: "HTTPS GET 64 B, keep-alive, 64 connections", Plan: loadPlan{Kind: "tls-get", Conns: 64}, Key: ecdsaKey, Short: true},
		{Name: "tls-10k", Doc: "HTTPS GET 10 KB, keep-alive, 64 connections", Plan: loadPlan{Kind: "tls-get", Conns: 64, Size: 10 << 10}, Key: ecdsaKey},
		{Name: "h2-1", Doc: "HTTP/2 GET 64 B, 16 connections with 1 stream at a time", Plan: loadPlan{Kind: "h2", Conns: 16, Streams: 1}, Key: ecdsaKey, Short: true},
		{Name: "h2-100", Doc: "HTTP/2 GET 64 B, 4 connections with 100 streams at a time", Plan: loadPlan{Kind: "h2", Conns: 4, Streams: 100}, Key: ecdsaKey, Short: true},
		{Name: "h3-1", Doc: "HTTP/3 GET 64 B, 16 connections with 1 stream at a time", Plan: loadPlan{Kind: "h3", Conns: 16, Streams: 1}, Key: ecdsaKey, H3: true, Short: true},
		{Name: "h3-10", Doc: "HTTP/3 GET 64 B, 4 connections with 10 streams at a time", Plan: loadPlan{Kind: "h3", Conns: 4, Streams: 10}, Key: ecdsaKey, H3: true},
		{Name: "tls-idle", Doc: "5,000 idle TLS connections after one request each", Plan: loadPlan{Kind: "tls-idle", Conns: 5000, Timeout: 60 * time.Second}, Unit: "connection", Key: ecdsaKey, Short: true},
	}
	list := all[:0]
	for _, w := range all {
		if w.Plan.Size == 0 {
			w.Plan.Size = smallBody
		}
		if w.Plan.Streams == 0 {
			w.Plan.Streams = 1
		}
		if w.Unit == "" {
			w.Unit = "request"
		}
		if !short || w.Short {
			list = append(list, w)
		}
	}
	return list
}
