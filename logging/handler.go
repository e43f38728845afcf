package logging

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
)

// Levels for Loadstar's own messages beside slog's four, where syslog has more to
// say; HAProxy reports a server that goes down at alert and one that comes back at
// notice.
const (
	LevelNotice = slog.Level(2)
	LevelAlert  = slog.Level(12)
)

// severity maps a level of slog to one of syslog.
func severity(l slog.Level) Level {
	switch {
	case l < slog.LevelInfo:
		return Debug
	case l < LevelNotice:
		return Info
	case l < slog.LevelWarn:
		return Notice
	case l < slog.LevelError:
		return Warning
	case l < LevelAlert:
		return Err
	default:
		return Alert
	}
}

// NewHandler has Loadstar's own messages go to a sink, as one line each: the message, then
// key=value for each attribute, values quoted where they need it. The sink's
// daemon adds time and severity. Messages less severe than level are left out.
func NewHandler(sink Sink, level Level) slog.Handler { return &handler{sink: sink, level: level} }

type handler struct {
	sink   Sink
	level  Level
	fixed  []byte // attributes of WithAttrs, ready
	prefix string // groups of WithGroup: "a.b."
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return severity(l) <= h.level }

var (
	plainSet = NewSet("")
	linePool = sync.Pool{New: func() any { return new([]byte) }}
)

// maxMessage bounds a message in bytes: what a syslog datagram may well carry.
const maxMessage = 8192

// Handle writes the message. Control bytes are written #XX: one message, one line.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	buf, _ := linePool.Get().(*[]byte)
	line := AppendEscaped((*buf)[:0], r.Message, plainSet, maxMessage)
	line = append(line, h.fixed...)
	r.Attrs(func(a slog.Attr) bool {
		line = appendAttr(line, h.prefix, a)
		return true
	})
	if len(line) > maxMessage {
		line = line[:maxMessage]
	}
	h.sink.Write(severity(r.Level), line)
	*buf = line
	linePool.Put(buf)
	return nil
}

// WithAttrs gives a handler that adds attributes to every message.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fixed = append([]byte(nil), h.fixed...)
	for _, a := range attrs {
		with.fixed = appendAttr(with.fixed, h.prefix, a)
	}
	return &with
}

// WithGroup gives a handler that puts "name." before every key.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

func appendAttr(dst []byte, prefix string, a slog.Attr) []byte {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, kid := range v.Group() {
			dst = appendAttr(dst, prefix, kid)
		}
		return dst
	}
	if a.Equal(slog.Attr{}) {
		return dst
	}
	limit := len(dst) + maxMessage
	dst = append(dst, ' ')
	dst = AppendEscaped(dst, prefix, plainSet, limit)
	dst = AppendEscaped(dst, a.Key, plainSet, limit)
	dst = append(dst, '=')
	text := v.String()
	if needsQuotes(text) {
		return strconv.AppendQuoteToASCII(dst, text)
	}
	return append(dst, text...)
}

func needsQuotes(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\' {
			return true
		}
	}
	return s == ""
}
