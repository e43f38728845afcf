package logging

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestHandler(t *testing.T) {
	for _, c := range []struct {
		log   func(*slog.Logger)
		level Level
		want  string
	}{
		{func(l *slog.Logger) { l.Info("Server pool/s1 is DOWN.") }, Info, "Server pool/s1 is DOWN."},
		{func(l *slog.Logger) { l.Warn("slow", "took", 2*time.Second, "n", 3) }, Warning, "slow took=2s n=3"},
		{func(l *slog.Logger) { l.Error("bad", "error", errors.New(`a "b"`)) }, Err, `bad error="a \"b\""`},
		{func(l *slog.Logger) { l.Log(t.Context(), LevelNotice, "up") }, Notice, "up"},
		{func(l *slog.Logger) { l.Log(t.Context(), LevelAlert, "down") }, Alert, "down"},
		{func(l *slog.Logger) { l.Debug("detail", "empty", "") }, Debug, `detail empty=""`},
		{func(l *slog.Logger) { l.Info("one\r\ntwo\x1b[0m") }, Info, "one#0D#0Atwo#1B[0m"},
		{func(l *slog.Logger) { l.Info("x", "a\nb", "c\nd\x00é") }, Info, `x a#0Ab="c\nd\x00\u00e9"`},
		{func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).Info("x", "c", 3) }, Info, "x a=1 g.b=2 g.c=3"},
		{func(l *slog.Logger) { l.Info("x", slog.Group("g", "a", 1, slog.Group("h", "b", 2))) }, Info, "x g.a=1 g.h.b=2"},
		{func(l *slog.Logger) { l.WithGroup("").Info("x", slog.Attr{}) }, Info, "x"},
	} {
		s := &list{}
		c.log(slog.New(NewHandler(s, Debug)))
		if len(s.lines) != 1 || s.lines[0] != c.want || s.levels[0] != c.level {
			t.Errorf("got %q at %v, want %q at %v", s.lines, s.levels, c.want, c.level)
		}
	}
}

func TestHandlerBoundsAMessage(t *testing.T) {
	s := &list{}
	log := slog.New(NewHandler(s, Notice))
	log.Info("left out")
	log.Warn(strings.Repeat("\n", maxMessage), "key", strings.Repeat("v", 2*maxMessage))
	if len(s.lines) != 1 || len(s.lines[0]) > maxMessage {
		t.Errorf("%d lines, the first of %d bytes", len(s.lines), len(s.lines[0]))
	}
}
