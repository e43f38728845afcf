package main

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/api"
	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/history"
	"github.com/loadstar-lb/loadstar/modules/overlay"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// handover is what the old process tells the new one. Either may be of another
// version: what one of them does not know is left out, never refused.
type handover struct {
	Servers []upstream.Health `json:"servers"`
	Changes []overlay.Change  `json:"changes,omitempty"` // made at run time
	Links   [][]string        `json:"links,omitempty"`   // of the sockets, in their order; see listener.Handed
	// History is what was in force, the oldest first. The last one is in force; the
	// new process reads it from File again, unless it is another one than File has
	// (history.Entry.Sent).
	History []history.Stored `json:"history,omitempty"`
	// File is the name of the configuration's file, as it is now: chroot gives it
	// another than the command line has.
	File string `json:"file,omitempty"`
	// Identity is what the old process has become of root's; see identity.
	Identity string `json:"identity,omitempty"`
}

// handover gathers what a new process is told. It needs loading.
func (p *process) handover(h *hands) handover {
	out := handover{Servers: p.runtime.Health(), Changes: p.runtime.Overlay().Export(), Links: h.links(),
		History: p.past.Export(), File: p.file, Identity: p.identity}
	if n := len(out.History); n > 0 && p.unread {
		out.History[n-1].Sent = true
	}
	return out
}

// takeOver takes up what the old process has told, and gives what is to be loaded first.
func (p *process) takeOver(in *inheritance) api.Load {
	p.inherit = in
	p.runtime.Inherit(&in.sockets, in.Servers)
	if len(in.Changes) > 0 {
		p.runtime.Overlay().Import(in.Changes)
	}
	p.admin.inherited = &in.sockets
	p.past.Import(in.History)
	p.identity = in.Identity
	if in.File != "" {
		p.file = in.File
	}
	first := api.Load{By: "start"}
	if now, ok := p.past.Current(); ok && now.Sent {
		p.log.Info("the configuration is the one that was in force, not the file's", "number", now.Number, "name", now.Name, "by", now.By)
		first = api.Load{By: now.By, Entry: &now}
	}
	return first
}

// inherits tells that this process has been started as whom the configuration names,
// by one that has given up root's rights.
func (p *process) inherits() bool {
	return p.inherit.channel != nil && (p.inherit.Identity != "" || os.Geteuid() != 0)
}

// sent tells whether a configuration that came into force is another one than the
// process's own file has: reading that again would not give it.
func (p *process) sent(o api.Load, e *history.Entry) bool {
	if o.Entry == nil && o.Src == nil {
		return false
	}
	own, err := filepath.Abs(p.file)
	if name, err2 := filepath.Abs(e.Name); err != nil || err2 != nil || name != own {
		return true
	}
	return slices.ContainsFunc(e.Files, func(f history.File) bool {
		text, err := os.ReadFile(f.Name)
		return err != nil || string(text) != f.Text
	})
}

// takeover is what the new process answers: that it serves, and on which of the
// sockets; or why it cannot.
type takeover struct {
	Serves bool   `json:"serves"`
	Taken  []int  `json:"taken"`
	Error  string `json:"error,omitempty"`
}
