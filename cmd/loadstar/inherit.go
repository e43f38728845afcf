package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/loadstar-lb/loadstar/listener"
)

// firstInherited is the first descriptor of those that a process is given.
const firstInherited = 3

// inheritance is what this process was given by the one that started it.
type inheritance struct {
	sockets listener.Inherited
	channel *os.File // to the process that is replaced; nil: none is
	handover
}

// inherit takes over what another Loadstar has handed to this one, or what systemd
// has opened for it. The variables that tell of it do not reach programs that this
// one starts.
func inherit() (*inheritance, error) {
	if n, ok := os.LookupEnv(upgradeEnv); ok {
		_ = os.Unsetenv(upgradeEnv)
		return fromPredecessor(n)
	}
	return fromSystemd(os.Getpid())
}

// fromPredecessor takes over from the process that is replaced.
func fromPredecessor(count string) (*inheritance, error) {
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%s=%q: the process that started this one is no Loadstar", upgradeEnv, count)
	}
	unix.CloseOnExec(firstInherited)
	in := &inheritance{channel: os.NewFile(firstInherited, "channel")}
	for i := range n {
		if err := in.sockets.Add(firstInherited+1+i, false); err != nil {
			return nil, err
		}
	}
	if err := json.NewDecoder(in.channel).Decode(&in.handover); err != nil {
		return nil, fmt.Errorf("what the old process says is not understood: %w", err)
	}
	for i, links := range in.Links {
		in.sockets.Link(i, links)
	}
	in.sockets.Hold()
	return in, nil
}

// fromSystemd takes over sockets of socket activation (sd_listen_fds(3)), if they
// are meant for this process.
func fromSystemd(pid int) (*inheritance, error) {
	in := &inheritance{}
	meant := os.Getenv("LISTEN_PID") == strconv.Itoa(pid)
	count, names := os.Getenv("LISTEN_FDS"), strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(v)
	}
	if !meant || count == "" {
		return in, nil
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("LISTEN_FDS=%q is no number of sockets", count)
	}
	for i := range n {
		if err := in.sockets.Add(firstInherited+i, true); err != nil {
			if i < len(names) && names[i] != "" {
				err = fmt.Errorf("%s: %w", names[i], err)
			}
			return nil, fmt.Errorf("socket activation: %w", err)
		}
	}
	return in, nil
}

// serves tells the old process that this one serves now, and waits until it has
// told systemd.
func (in *inheritance) serves() error {
	if in.channel == nil {
		return nil
	}
	defer in.channel.Close()
	if err := json.NewEncoder(in.channel).Encode(takeover{Serves: true, Taken: in.sockets.Taken()}); err != nil {
		return fmt.Errorf("the old process cannot be told: %w", err)
	}
	_, _ = io.Copy(io.Discard, in.channel)
	in.sockets.Begin()
	return nil
}

// fails tells the old process why this one cannot serve.
func (in *inheritance) fails(why string) {
	if in.channel != nil {
		_ = json.NewEncoder(in.channel).Encode(takeover{Error: why})
		_ = in.channel.Close()
	}
}
