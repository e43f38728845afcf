package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/listener"
)

// identity is what a configuration says of `user`, `group` and `chroot`.
func identity(cfg *config.Config) (words string, at diag.Range) {
	var all []string
	for _, word := range []string{"user", "group", "chroot"} {
		if n := config.Last(cfg.Process, word); n != nil {
			all, at = append(all, word+" "+n.Text(0)), n.Range
		}
	}
	return strings.Join(all, ", "), at
}

// prepare does what only root can, for a configuration that is about to be in force:
// it raises the limit on descriptors, and the first time it has the process become who
// the configuration says, as soon as the sockets are bound and before anything is
// served. Nothing of this can be taken back, so later on it is only warned of.
func (p *process) prepare(cfg *config.Config) (found diag.List) {
	words, at := identity(cfg)
	if p.runtime.Stats().Generation > 0 {
		if words != p.identity {
			d := found.Add(at, "start-only", "user, group and chroot are read at the start only; it was %q then", p.identity)
			d.Severity = diag.Warning
		}
		p.descriptors(cfg)
		return found
	}
	if p.inherits() { // it cannot become anybody else, and need not: users and directories may be out of sight
		if words != p.identity && p.inherit.Identity != "" {
			d := found.Add(at, "start-only", "user, group and chroot are read at the start only; it was %q then", p.identity)
			d.Severity = diag.Warning
		}
		p.descriptors(cfg)
		return found
	}
	who, found := privilegesOf(cfg)
	if found.HasErrors() {
		return found
	}
	p.descriptors(cfg)
	p.identity = words
	p.runtime.Bound = func() error {
		p.runtime.Bound = nil
		return p.become(who)
	}
	return found
}

// become drops privileges.
func (p *process) become(who *privileges) error {
	if who == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		if who.in(os.Getuid(), os.Getgid()) {
			return nil
		}
		return errors.New("only root can become " + who.String())
	}
	p.admin.give(who.uid, who.gid)
	if err := p.runtime.Give(who.uid, who.gid); err != nil {
		p.log.Warn("the certificates that are kept stay root's", "err", err)
	}
	kept, err := who.drop()
	if err != nil {
		return err
	}
	if who.chroot != "" {
		p.rename(who)
	}
	p.log.Info("root's rights were given up", "user", who.name, "uid", who.uid, "gid", who.gid, "chroot", who.chroot)
	if kept != nil {
		p.log.Warn("the right to bind ports below 1024 could not be kept", "err", kept)
	}
	return nil
}

// rename gives files of this process the names that they have after chroot.
func (p *process) rename(who *privileges) {
	inside := func(name string) string {
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
		rest, ok := who.below(name)
		if !ok {
			return ""
		}
		return rest
	}
	p.self = inside(p.self)
	if file := inside(p.file); file != "" {
		p.file = file
	} else {
		p.unread = true
		p.log.Warn("the configuration file is out of reach now; `loadstar reload --config FILE` sends it", "file", p.file)
	}
}

// descriptors raises the limit on open descriptors for a configuration that needs more
// than the process has: the soft limit Go has raised to the hard one already, and that
// one only root can raise.
func (p *process) descriptors(cfg *config.Config) {
	n := config.Last(cfg.Process, "maxconn")
	if n == nil {
		return
	}
	servers := 0
	for i := range cfg.Pools {
		servers += len(config.Find(cfg.Pools[i].Body, "server"))
	}
	need := listener.Descriptors(int(n.Int(0)), len(cfg.Sites)+servers)
	if have := listener.RaiseDescriptors(need); have < need && have >= uint64(2*n.Int(0)) { // else the linter says so
		p.log.Warn("there are not descriptors for so many connections", "maxconn", n.Int(0), "needed", need, "allowed", have)
	}
}

// give makes the endpoint's socket file a user's.
func (a *admin) give(uid, gid int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if path, ok := strings.CutPrefix(a.addr, "unix/"); ok && a.l != nil {
		if err := os.Chown(path, uid, gid); err != nil {
			a.log.Warn("the admin endpoint stays root's", "err", err)
		}
	}
}
