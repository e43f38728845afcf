package main

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/loadstar-lb/loadstar/modules/metrics"
)

// serveMetrics answers as the directive `metrics` does, at the admin endpoint.
func serveMetrics(e *metrics.Exporter) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		format, contentType := metrics.Negotiate(strings.Join(r.Header.Values("Accept"), ", "))
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-store")
		var to io.Writer = w
		var z *gzip.Writer
		if strings.Contains(strings.Join(r.Header.Values("Accept-Encoding"), ", "), "gzip") {
			h.Set("Content-Encoding", "gzip")
			z, _ = gzip.NewWriterLevel(w, gzip.BestSpeed) // the level is a valid one
			to = z
		}
		err := e.Write(to, format)
		switch {
		case errors.Is(err, metrics.ErrBusy):
			h.Del("Content-Encoding")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		case err == nil && z != nil:
			_ = z.Close() // a client that left by now misses nothing
		}
	}
}
