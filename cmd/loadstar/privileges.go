package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// privileges is whom the process becomes, and what it then sees of the file system.
type privileges struct {
	name     string // of the user
	uid, gid int
	groups   []int
	chroot   string // "": everything
	keep     []uint // capabilities of root's that are kept
	at       diag.Range
}

// privilegesOf reads `user`, `group` and `chroot`; nil if there is none of them, or one
// is wrong.
func privilegesOf(cfg *config.Config) (*privileges, diag.List) {
	var found diag.List
	u, g, root := config.Last(cfg.Process, "user"), config.Last(cfg.Process, "group"), config.Last(cfg.Process, "chroot")
	if u == nil && g == nil && root == nil {
		return nil, nil
	}
	if !canDrop {
		found.Add(cmp.Or(u, g, root).Range, "not-root", "user, group and chroot need Linux")
		return nil, found
	}
	p := &privileges{uid: os.Getuid(), gid: os.Getgid(), keep: keptCapabilities(cfg)}
	if u != nil {
		p.at = u.Range
		if err := p.become(u.Text(0)); err != nil {
			found.Add(u.Args[0].Range, "unknown-user", "%v", err)
		}
	}
	if g != nil {
		id, err := groupID(g.Text(0))
		if err != nil {
			found.Add(g.Args[0].Range, "unknown-group", "%v", err)
		}
		p.gid, p.groups = id, []int{id}
		if u == nil {
			p.at = g.Range
		}
	}
	if root != nil {
		p.chroot = filepath.Clean(root.Args[0].Path())
		if info, err := os.Stat(p.chroot); err != nil || !info.IsDir() {
			found.Add(root.Args[0].Range, "bad-chroot", "%s is no directory", p.chroot)
		}
		if u == nil {
			p.at = root.Range
			d := found.Add(root.Range, "bad-chroot", "chroot without `user`: root can leave the directory")
			d.Help = append(d.Help, "name a user that the process goes on as: user nobody")
		}
	}
	if found.HasErrors() {
		return nil, found
	}
	if !p.in(os.Getuid(), os.Getgid()) && os.Geteuid() != 0 {
		d := found.Add(p.at, "not-root", "only root can become %s", p)
		d.Severity = diag.Warning
		d.Help = append(d.Help, "start it as root, or as that user without these words")
	}
	return p, append(found, p.beyondReach(cfg)...)
}

// Numbers of Linux's capabilities (capabilities(7)).
const (
	capBindService = 10 // CAP_NET_BIND_SERVICE
	capNetRaw      = 13 // CAP_NET_RAW
)

// keptCapabilities are those that a reload needs (capabilities(7)): to bind low ports,
// and, where servers are connected to as the client, to bind what is no address of
// this machine (IP_TRANSPARENT).
func keptCapabilities(cfg *config.Config) []uint {
	keep := []uint{capBindService}
	for i := range cfg.Pools {
		for _, n := range append(config.Find(cfg.Pools[i].Body, "server"), &config.Node{Options: cfg.Pools[i].Body}) {
			if n.OptionText("source") == "client" {
				return append(keep, capNetRaw)
			}
		}
	}
	return keep
}

// String names user and group.
func (p *privileges) String() string {
	s := fmt.Sprintf("user %s", p.name)
	if p.name == "" {
		s = fmt.Sprintf("user %d", p.uid)
	}
	return s + fmt.Sprintf(" group %d", p.gid)
}

func (p *privileges) in(uid, gid int) bool { return p.uid == uid && p.gid == gid && p.chroot == "" }

// become looks a user up, by name or number.
func (p *privileges) become(name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			// A number needs no entry; it then has no groups but that of its number.
			id, bad := strconv.ParseUint(name, 10, 31)
			if bad != nil {
				return fmt.Errorf("there is no user %q here", name)
			}
			p.name, p.uid, p.gid, p.groups = name, int(id), int(id), []int{int(id)}
			return nil
		}
	}
	ids, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("the groups of user %q: %w", name, err)
	}
	p.name = u.Username
	p.uid, _ = strconv.Atoi(u.Uid)
	p.gid, _ = strconv.Atoi(u.Gid)
	for _, s := range ids {
		if id, err := strconv.Atoi(s); err == nil {
			p.groups = append(p.groups, id)
		}
	}
	return nil
}

func groupID(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	id, err := strconv.ParseUint(name, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("there is no group %q here", name)
	}
	return int(id), nil
}

// beyondReach warns of what a reload will not be able to read or write any more.
func (p *privileges) beyondReach(cfg *config.Config) (found diag.List) {
	if p.uid == 0 {
		return nil
	}
	warn := func(at diag.Range, format string, args ...any) {
		d := found.Add(at, "out-of-reach", format, args...)
		d.Severity = diag.Warning
	}
	eachFile(cfg, func(n *config.Node, v config.Value) {
		name, err := filepath.Abs(v.Path())
		if err != nil || n.Word == "chroot" {
			return
		}
		log := n.Word == "log"
		switch dir := filepath.Dir(name); {
		case !log && !exists(name): // a word such as `off`; or somebody else says that it is missing
		case p.chroot != "" && log && !exists(filepath.Join(p.chroot, dir)):
			warn(v.Range, "there is no %s below %s: the log cannot be opened anew after a rotation", dir, p.chroot)
		case p.chroot != "" && !log && !exists(filepath.Join(p.chroot, name)):
			warn(v.Range, "%s is not there below %s: a reload will not find it", name, p.chroot)
		case p.chroot != "":
		case log && !p.may(dir, 0o3):
			warn(v.Range, "user %s may not write to %s: the log cannot be opened anew after a rotation", p.name, dir)
		case n.Word == "state" && !p.may(name, 0o7):
			warn(v.Range, "user %s may not write to %s: what it holds cannot be renewed", p.name, name)
		case !log && n.Word != "state" && !p.may(name, 0o4):
			warn(v.Range, "user %s may not read %s: a reload will fail", p.name, name)
		}
	})
	return found
}

// eachFile visits the names of files in a configuration.
func eachFile(cfg *config.Config, visit func(n *config.Node, v config.Value)) {
	var walk func(top *config.Node, nodes []config.Node)
	walk = func(top *config.Node, nodes []config.Node) {
		for i := range nodes {
			n := &nodes[i]
			word := n
			if top != nil {
				word = top
			}
			for _, v := range n.Args {
				if v.Kind == spec.File && v.Text != "" {
					visit(word, v)
				}
			}
			walk(word, n.Options)
			walk(nil, n.Body)
		}
	}
	walk(nil, cfg.Process)
	for i := range cfg.Sites {
		walk(nil, cfg.Sites[i].Body)
	}
	for i := range cfg.Pools {
		walk(nil, cfg.Pools[i].Body)
	}
}

// below gives the name that a file has after chroot.
func (p *privileges) below(name string) (rest string, ok bool) {
	if p.chroot == "" {
		return name, true
	}
	rest, ok = strings.CutPrefix(name, strings.TrimSuffix(p.chroot, "/")+"/")
	return "/" + rest, ok
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// may tells whether the user has the rights (4 read, 2 write, 1 search) to a file, as
// far as the mode bits say it, and may get there.
func (p *privileges) may(name string, want os.FileMode) bool {
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		if !p.bits(dir, 0o1) {
			return false
		}
		if dir == "/" || dir == "." {
			break
		}
	}
	return p.bits(name, want)
}

func ownerOf(info os.FileInfo) (uid, gid int) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid)
	}
	return 0, 0
}

func (p *privileges) bits(name string, want os.FileMode) bool {
	info, err := os.Stat(name)
	if err != nil {
		return errors.Is(err, os.ErrNotExist) // somebody else will say so
	}
	mode := info.Mode().Perm()
	switch uid, gid := ownerOf(info); {
	case uid == p.uid:
		mode >>= 6
	case gid == p.gid || slices.Contains(p.groups, gid):
		mode >>= 3
	}
	return mode&want == want
}
