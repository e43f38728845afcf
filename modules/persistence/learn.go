package persistence

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/modules/template"
	"github.com/loadstar-lb/loadstar/modules/upstream"
)

const learnLong = "The first exchange of a client is balanced, and the server that answers is remembered. A client whose server is down, or is " +
	"not in the configuration any more, is balanced anew and then belongs to its new server. What is remembered survives reloads."

var sourceModule = Module{
	Spec: spec.Word{
		Name: "source", Doc: "By the client's address, which a table remembers",
		Long: learnLong, Example: "persist source expire 1h", Options: tableOptions(),
	},
	New: func(n *config.Node, env *Env) (Affinity, error) {
		// No name of a table has a colon.
		return newLearn(clientKey{}, sized(n, TableKey{"pool:" + env.Pool, IPKeys}), env), nil
	},
}

var headerModule = Module{
	Spec: spec.Word{
		Name: "header", Doc: "By a field of the request's header, whose value a table remembers",
		Long: learnLong + " Requests without the field are only balanced.", Example: "persist header X-Session expire 1h",
		Args:    []spec.Arg{{Name: "FIELD", Kind: spec.HeaderName, Doc: "the field's name"}},
		Options: tableOptions(),
	},
	New: func(n *config.Node, env *Env) (Affinity, error) {
		name := n.Text(0)
		if name == "" {
			return nil, errors.New("the name of the header field is empty")
		}
		return newLearn(headerKey(name), sized(n, TableKey{"pool:" + env.Pool + ":" + name, StringKeys}), env), nil
	},
}

var tableModule = Module{
	Spec: spec.Word{
		Name: "table", Doc: "By a key of any kind, which a table defined at the top level remembers",
		Long:    learnLong + " An exchange whose key is empty, or is no address in a table of those, is only balanced.",
		Example: "persist table sessions key {http.cookie.JSESSIONID}",
		Args:    []spec.Arg{{Name: "NAME", Kind: spec.TableRef, Doc: "the name of a table"}},
		Options: []spec.Word{{Name: "key", Doc: "what the client is known by", Default: "{client.ip}",
			Args: []spec.Arg{{Name: "KEY", Kind: spec.Template, Doc: "a text with placeholders"}}}},
	},
	New: newTableAffinity,
}

func newTableAffinity(n *config.Node, env *Env) (Affinity, error) {
	table, ok := env.Named(n.Text(0))
	if !ok {
		return nil, fmt.Errorf("there is no table %q", n.Text(0))
	}
	text := n.OptionText("key")
	t, err := template.Compile(text)
	if err != nil {
		return nil, err
	}
	if _, fixed := t.Static(); fixed {
		return nil, fmt.Errorf("the key %q is the same for every client: write one with a placeholder, as {client.ip}", text)
	}
	var k keyer = templateKey{t, table.Type == IPKeys}
	if lit, placeholder := t.Lead(); table.Type == IPKeys && lit == "" && placeholder == "client.ip" && text == "{client.ip}" {
		k = clientKey{}
	}
	return newLearn(k, table, env), nil
}

// keyer makes the key of an exchange, nothing if it has none.
type keyer interface {
	appendKey(dst []byte, x *flow.Exchange) []byte
	needsHTTP() string
}

// learn remembers, in a table, whose server a client's key is.
type learn struct {
	keyer
	table  *Table
	byName map[string]*upstream.Server
}

func newLearn(k keyer, t TableSpec, env *Env) *learn {
	l := &learn{keyer: k, table: env.Table(t), byName: make(map[string]*upstream.Server, len(env.Servers))}
	for _, s := range env.Servers {
		l.byName[s.Name] = s
	}
	return l
}

// Find asks the table.
func (l *learn) Find(x *flow.Exchange, v *Visit) *upstream.Server {
	v.key = l.appendKey(v.key[:0], x)
	if len(v.key) == 0 {
		return nil
	}
	v.known = l.table.Get(v.key, flow.Now())
	s := l.byName[v.known]
	if s == nil || !s.Up() {
		return nil
	}
	return s
}

// Bind tells the table.
func (l *learn) Bind(_ *flow.Exchange, v *Visit, s *upstream.Server) {
	if len(v.key) > 0 && v.known != s.Name { // else Get has noted the use
		l.table.Put(v.key, s.Name, flow.Now())
	}
}

// NeedsHTTP says what the key is made of.
func (l *learn) NeedsHTTP() string { return l.needsHTTP() }

// clientKey is the client's address.
type clientKey struct{}

func (clientKey) appendKey(dst []byte, x *flow.Exchange) []byte { return appendAddr(dst, x.Client) }
func (clientKey) needsHTTP() string                             { return "" }

func appendAddr(dst []byte, a netip.Addr) []byte {
	switch a = a.Unmap(); {
	case a.Is4():
		b := a.As4()
		return append(dst, b[:]...)
	case a.Is6():
		b := a.As16()
		return append(dst, b[:]...)
	}
	return dst
}

// headerKey is the first field of that name.
type headerKey string

func (k headerKey) appendKey(dst []byte, x *flow.Exchange) []byte {
	return append(dst, x.Req.Header.Get(string(k))...)
}
func (k headerKey) needsHTTP() string { return "the header field " + string(k) }

// templateKey is what a template makes.
type templateKey struct {
	*template.Template
	ip bool
}

func (k templateKey) appendKey(dst []byte, x *flow.Exchange) []byte {
	dst = k.Append(dst, x)
	if !k.ip {
		return dst
	}
	a, err := netip.ParseAddr(string(dst))
	if err != nil {
		return dst[:0]
	}
	return appendAddr(dst[:0], a)
}

func (k templateKey) needsHTTP() (what string) {
	k.Walk(func(_, placeholder string) {
		for _, p := range template.Placeholders() {
			if p.Name == placeholder && p.HTTP && what == "" {
				what = "{" + placeholder + "}"
			}
		}
	})
	return what
}
