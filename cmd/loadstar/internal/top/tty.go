package top

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/loadstar-lb/loadstar/modules/census"
)

// Source is the running process.
type Source interface {
	Census(ctx context.Context) (*census.Census, error)
	Act(ctx context.Context, a Action) (said string, err error)
}

// ErrNoTerminal is what Run gives where there is none.
var ErrNoTerminal = errors.New("this is no terminal; --once prints what there is")

// Run shows the screen on a terminal until a key or a signal ends it. The
// terminal is then as it was before.
func Run(ctx context.Context, in, out *os.File, src Source, every time.Duration) error {
	if !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return ErrNoTerminal
	}
	signals := make(chan os.Signal, 4) // before anything is changed, so that nothing is left so
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return err
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }()
	// The other screen, without a cursor (xterm's private modes 1049 and 25).
	_, _ = out.WriteString("\x1b[?1049h\x1b[?25l")
	defer func() { _, _ = out.WriteString(reset + "\x1b[?25h\x1b[?1049l") }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &terminal{out: out, src: src, ctx: ctx, told: make(chan func(*Model), 8)}
	go t.watch(every)
	return t.loop(keysOf(in), signals, resized)
}

// terminal is a screen that is shown.
type terminal struct {
	Model
	out  *os.File
	src  Source
	ctx  context.Context
	told chan func(*Model) // what came from the process
}

func (t *terminal) loop(keys <-chan []Key, signals, resized <-chan os.Signal) error {
	for {
		t.draw()
		select {
		case <-signals:
			return nil
		case <-resized:
		case tell := <-t.told:
			tell(&t.Model)
		case some, open := <-keys:
			if !open {
				return nil
			}
			for _, k := range some {
				do, quit := t.Key(k)
				if quit {
					return nil
				}
				if do != nil {
					t.Message = do.Do + " " + do.Pool + "/" + do.Server + " …"
					go t.act(*do)
				}
			}
		}
	}
}

// watch asks the process again and again.
func (t *terminal) watch(every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		t.look()
		select {
		case <-tick.C:
		case <-t.ctx.Done():
			return
		}
	}
}

func (t *terminal) look() {
	c, err := t.src.Census(t.ctx)
	at := time.Now()
	t.tell(func(m *Model) {
		if m.Err = err; err == nil {
			m.Census, m.At = c, at
		}
	})
}

func (t *terminal) tell(f func(*Model)) {
	select {
	case t.told <- f:
	case <-t.ctx.Done():
	}
}

func (t *terminal) act(a Action) {
	said, err := t.src.Act(t.ctx, a)
	if err != nil {
		said = err.Error()
	}
	t.tell(func(m *Model) { m.Message = said })
	t.look()
}

// draw writes every line over the one that stands there: nothing flickers.
func (t *terminal) draw() {
	width, height, err := term.GetSize(int(t.out.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		width, height = 80, 24
	}
	w := bufio.NewWriter(t.out)
	_, _ = w.WriteString("\x1b[H")
	for i, l := range t.View(width, height) {
		if i > 0 {
			_, _ = w.WriteString("\r\n")
		}
		_, _ = w.WriteString(l.Look + l.Text + reset + "\x1b[K")
	}
	_, _ = w.WriteString("\x1b[J")
	_ = w.Flush()
}

// keysOf reads keys until the terminal is gone.
func keysOf(in *os.File) <-chan []Key {
	keys := make(chan []Key)
	go func() {
		defer close(keys)
		buf := make([]byte, 256)
		for {
			n, err := in.Read(buf)
			if n > 0 {
				keys <- Keys(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}()
	return keys
}
