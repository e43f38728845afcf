package health

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

var execModule = Module{
	Spec: spec.Word{
		Name: "exec",
		Doc:  "The server is well if a command ends with exit code 0",
		Long: "The command is run without a shell, with no input, in `/`. Its environment is clean: `PATH=/usr/local/bin:/usr/bin:/bin`, and " +
			"`LOADSTAR_POOL`, `LOADSTAR_SERVER`, `LOADSTAR_SERVER_ADDR`, `LOADSTAR_SERVER_PORT` (empty for a unix socket). At the " +
			"`timeout` the command is killed with everything that it has started. The last line that it prints goes into the log.",
		Example: "health exec /usr/bin/test -e /run/ready timeout 1s",
		Args: []spec.Arg{
			{Name: "COMMAND", Kind: spec.File, Doc: "a program"},
			{Name: "ARG", Kind: spec.String, Optional: true, Variadic: true, Doc: "its arguments"},
		},
	},
	New: func(n *config.Node) (Probe, error) {
		p := &execProbe{path: n.Args[0].Path(), args: n.Texts(1)}
		if st, err := os.Stat(p.path); err != nil {
			return nil, misuse(n.Args[0].Range, "%q cannot be run: %s", p.path, reasonOf(err))
		} else if st.IsDir() || st.Mode()&0o111 == 0 {
			return nil, misuse(n.Args[0].Range, "%q cannot be run: it is not executable", p.path)
		}
		return p, nil
	},
}

type execProbe struct {
	path string
	args []string
}

// leftOpen is how long output is waited for after the command has ended: what
// it started may hold the pipe.
const leftOpen = 100 * time.Millisecond

func (p *execProbe) Probe(ctx context.Context, t *Target) (Result, error) {
	if t.Answer > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.Answer)
		defer cancel()
	}
	var out tail
	c := exec.CommandContext(ctx, p.path, p.args...)
	c.Dir, c.Env, c.WaitDelay = "/", execEnv(t), leftOpen
	c.Stdout, c.Stderr = &out, &out
	killGroup(c)
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return passed("External check passed", 0, out.line()), nil
	case ctx.Err() != nil:
		return failed("External check timeout", 0, out.line())
	case errors.As(err, &exit):
		info := out.line()
		if exit.ExitCode() < 0 {
			info = exit.String() // a signal
		}
		return failed("External check error", max(0, exit.ExitCode()), info)
	}
	return failed("External check error", 0, reasonOf(err))
}

func execEnv(t *Target) []string {
	pool, server, _ := strings.Cut(t.Name, "/")
	host, port := t.Address, ""
	if t.Network == "tcp" {
		if h, p, err := net.SplitHostPort(t.Address); err == nil {
			host, port = h, p
		}
	}
	return []string{
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"LOADSTAR_POOL=" + pool, "LOADSTAR_SERVER=" + server,
		"LOADSTAR_SERVER_ADDR=" + host, "LOADSTAR_SERVER_PORT=" + port,
	}
}

// tail keeps the end of what a command prints.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p[max(0, len(p)-maxLine):]...)
	if len(t.b) > maxLine {
		t.b = append(t.b[:0], t.b[len(t.b)-maxLine:]...)
	}
	return len(p), nil
}

// line gives the last line.
func (t *tail) line() string {
	s := strings.TrimRight(string(t.b), "\r\n \t")
	return s[strings.LastIndexByte(s, '\n')+1:]
}
