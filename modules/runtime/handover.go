package runtime

import (
	"context"

	"github.com/loadstar-lb/loadstar/listener"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

// Inherit has the runtime go on with another process's sockets, and with what its
// probes knew. It is for before the first Apply.
func (r *Runtime) Inherit(sockets *listener.Inherited, servers []upstream.Health) {
	r.host.Inherited = sockets
	r.shared.Resume(servers)
}

// Hand gives the sockets for another process to go on with; Leave lets go of them.
// Until then nothing changes.
func (r *Runtime) Hand() ([]listener.Handed, error) { return r.sockets.Hand() }

// Health tells what probes know of the servers in force.
func (r *Runtime) Health() []upstream.Health {
	var out []upstream.Health
	r.EachServer(func(s *upstream.Server) {
		if h, ok := s.Health(); ok {
			out = append(out, h)
		}
	})
	return out
}

// Leave stops accepting, for another process has the sockets in handed, and lets
// everything that is in progress end by itself, however long that takes: until ctx
// ends. No configuration is taken any more. Shutdown is to follow.
func (r *Runtime) Leave(ctx context.Context, handed []listener.Handed) {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.stopped = true
	r.overlay.Stop()
	r.sockets.Leave(ctx, handed)
}

// Stuck names sockets whose connections nobody takes; see listener.Set.
func (r *Runtime) Stuck() []string { return r.sockets.Stuck() }
