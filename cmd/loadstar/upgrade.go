package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/listener/sock"
)

// The running process starts the program anew, from where it was started, and
// gives it its sockets; once that one serves, the old one accepts nothing more and
// ends with its last connection. nginx does so on SIGUSR2 ("Upgrading Executable on
// the Fly"), though there somebody has to tell the old one to go.

// upgradeEnv tells a process that it replaces another: how many sockets it was
// given. The channel to the other process is descriptor 3, the sockets follow.
const upgradeEnv = "LOADSTAR_UPGRADE"

// upgradePatience is how long the new process may take until it serves.
const upgradePatience = time.Minute

func upgradeCommand() *cobra.Command {
	var file, addr string
	c := &cobra.Command{
		Use:   "upgrade",
		Short: "Have the running process replaced by a new one without losing a connection",
		Long: "Ask the running process, through its admin endpoint, to start the program anew and to give it its sockets: after a new version " +
			"was installed. The new process reads the configuration file again; where another configuration is in force, one that was sent or a former one " +
			"(see ctl load and rollback), it goes on with that. It knows the history of configurations, and what was changed at run time. When the new process serves, the old one takes no more connections and ends with its last one. If the new one " +
			"cannot serve, the old one goes on as if nothing had been. SIGUSR2 does the same.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if addr == "" {
				addr = addressOf(file)
			}
			return orderUpgrade(c, addr)
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&addr, "admin", "", "the admin endpoint, as in the file; without it the file's, or the default")
	return c
}

func orderUpgrade(c *cobra.Command, addr string) error {
	client, base := adminClient(addr)
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/upgrade", nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return unanswered(addr, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		why := strings.TrimSpace(string(text))
		var p api.Problem
		if json.Unmarshal(text, &p) == nil && p.Message != "" {
			why = p.Error()
		}
		fmt.Fprintf(c.ErrOrStderr(), "loadstar: not upgraded, the old process goes on: %s\n", why)
		return exitCode(exitInput)
	}
	_, err = c.OutOrStdout().Write(text)
	return err
}

// self is the file that this program was started as: after an upgrade of the
// package another one has its name, which is the one that is wanted.
func self() string {
	name, err := exec.LookPath(os.Args[0])
	if err != nil {
		return ""
	}
	if name, err = filepath.Abs(name); err != nil {
		return ""
	}
	return name
}

var errLeaving = errors.New("the process is ending already")

// Upgrade starts the new process and waits until it serves; then the old one
// begins to leave. On an error nothing has changed.
func (p *process) Upgrade(ctx context.Context) (pid int, err error) {
	p.loading.Lock() // no reload meanwhile
	defer p.loading.Unlock()
	defer func() { // a signal has nobody else who could be told
		if err != nil {
			p.log.Error("not upgraded; this process goes on", "err", err)
		}
	}()
	if p.ending.Load() {
		return 0, errLeaving
	}
	_, waits := p.confirm.Pending()
	switch {
	case waits: // nobody would go back
		return 0, api.ErrPending
	case os.Getpid() == 1:
		return 0, errors.New("this is process 1, with whose end everything else here ends: replace the container instead")
	case p.self == "":
		return 0, fmt.Errorf("the program %q cannot be found any more", os.Args[0])
	}
	h, err := p.hand()
	if err != nil {
		return 0, err
	}
	defer h.close()
	ctx, cancel := context.WithTimeout(ctx, upgradePatience)
	defer cancel()
	stop := context.AfterFunc(p.life, cancel)
	defer stop()
	p.log.Info("upgrading", "program", p.self, "sockets", len(h.files))
	child, err := h.start(ctx, p.self)
	if err != nil {
		return 0, err
	}
	answer, err := child.serves(ctx, p.handover(h))
	if err == nil && !p.ending.CompareAndSwap(false, true) {
		err = errLeaving
	}
	if err != nil {
		child.end()
		return 0, err
	}
	p.heir = h.heir(child.pid, answer.Taken)
	listener.Surrender(p.heir.handed)
	p.notify.replaced(child.pid)
	_ = child.channel.Close() // it may tell systemd that it is ready now
	p.signals.inner <- sigLeave
	return child.pid, nil
}

// heir is the process that goes on.
type heir struct {
	pid    int
	handed []listener.Handed // of the sockets that it took
	admin  bool              // it has the admin endpoint's, too
}

// hands are the sockets on their way to another process.
type hands struct {
	sockets []listener.Handed
	files   []*os.File // those of sockets, then others
	admin   int        // of files; -1: none
}

func (p *process) hand() (*hands, error) {
	sockets, err := p.runtime.Hand()
	if err != nil {
		return nil, err
	}
	h := &hands{sockets: sockets, admin: -1}
	for _, s := range sockets {
		h.files = append(h.files, s.File)
	}
	f, err := p.admin.hand()
	if err != nil {
		h.close()
		return nil, err
	}
	if f != nil {
		h.admin = len(h.files)
		h.files = append(h.files, f)
	}
	return h, nil
}

func (h *hands) links() [][]string {
	var out [][]string
	for _, s := range h.sockets {
		out = append(out, s.Links)
	}
	return out
}

func (h *hands) close() {
	for _, f := range h.files {
		_ = f.Close()
	}
}

func (h *hands) heir(pid int, taken []int) *heir {
	out := &heir{pid: pid}
	for _, i := range taken {
		switch {
		case i < 0 || i >= len(h.files):
		case i == h.admin:
			out.admin = true
		case i < len(h.sockets):
			out.handed = append(out.handed, h.sockets[i])
		}
	}
	return out
}

// child is the new process, from here.
type child struct {
	pid     int
	cmd     *exec.Cmd
	channel *os.File
	ended   chan struct{} // closed when it has
	how     error         // good after that
}

// start runs the program with the sockets, as this one was run.
func (h *hands) start(ctx context.Context, program string) (*child, error) {
	pair, err := sock.Pair()
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "channel"), os.NewFile(uintptr(pair[1]), "channel")
	defer theirs.Close()
	cmd := exec.Command(program, os.Args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.Env = append(upgradeEnviron(), upgradeEnv+"="+strconv.Itoa(len(h.files)))
	cmd.ExtraFiles = append([]*os.File{theirs}, h.files...)
	if err := cmd.Start(); err != nil {
		_ = ours.Close()
		return nil, err
	}
	c := &child{pid: cmd.Process.Pid, cmd: cmd, channel: ours, ended: make(chan struct{})}
	go func() { // it is a child of this process, which must bury it
		c.how = cmd.Wait()
		close(c.ended)
	}()
	_ = ours.SetDeadline(deadline(ctx))
	context.AfterFunc(ctx, func() { _ = ours.SetDeadline(time.Unix(1, 0)) })
	return c, nil
}

func deadline(ctx context.Context) time.Time {
	t, _ := ctx.Deadline()
	return t
}

// upgradeEnviron is this process's environment without what is of this process
// alone.
func upgradeEnviron() []string {
	var out []string
	for _, e := range os.Environ() {
		switch name, _, _ := strings.Cut(e, "="); name {
		case upgradeEnv, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID":
		default:
			out = append(out, e)
		}
	}
	return out
}

// serves tells the new process what there is to know, and waits until it serves.
func (c *child) serves(ctx context.Context, h handover) (*takeover, error) {
	var answer takeover
	err := json.NewEncoder(c.channel).Encode(h)
	if err == nil {
		err = json.NewDecoder(c.channel).Decode(&answer)
	}
	switch {
	case err == nil && answer.Error != "":
		return nil, errors.New(answer.Error)
	case err == nil && !answer.Serves: // whatever it is, this process would leave for nobody
		return nil, errors.New("the new program does not say that it serves: is it Loadstar?")
	case err == nil:
		return &answer, nil
	case ctx.Err() == context.DeadlineExceeded:
		return nil, fmt.Errorf("the new process does not serve after %v", upgradePatience)
	case ctx.Err() != nil:
		return nil, errors.New("the process was asked to stop meanwhile")
	default:
		select {
		case <-c.ended:
			end := c.how
			if end == nil {
				end = errors.New("exit status 0")
			}
			return nil, fmt.Errorf("the new process ended before it served: %w; it says why on standard error", end)
		case <-time.After(time.Second):
			return nil, fmt.Errorf("the new process cannot be talked to: %w", err)
		}
	}
}

// end stops a new process that is of no use.
func (c *child) end() {
	_ = c.channel.Close()
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(5*time.Second, func() { _ = c.cmd.Process.Kill() })
	<-c.ended
	kill.Stop()
}
