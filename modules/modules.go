// Package modules is the table of contents: every module of Loadstar, one line
// each. Nothing registers itself; what is not in Standard does not exist.
package modules

import (
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/logging/file"
	"github.com/loadstar-lb/loadstar/logging/httplog"
	"github.com/loadstar-lb/loadstar/logging/syslog"
	"github.com/loadstar-lb/loadstar/modules/handler"
	"github.com/loadstar-lb/loadstar/modules/matcher"
	"github.com/loadstar-lb/loadstar/modules/persistence"
	"github.com/loadstar-lb/loadstar/modules/pool"
	"github.com/loadstar-lb/loadstar/modules/template"
)

// Set is the modules that a configuration may use.
type Set struct {
	Matchers []matcher.Module
	Handlers []handler.Module       // of HTTP sites
	Streams  []handler.StreamModule // of tcp sites
	Logging  logging.Modules
	Settings []spec.Word // directives that set something, rather than act
}

// Standard gives every module there is.
func Standard() *Set {
	return &Set{
		Matchers: []matcher.Module{
			matcher.Host, matcher.Path, matcher.Method, matcher.Query, matcher.Header, matcher.Cookie,
			matcher.URL, matcher.Client, matcher.Port, matcher.Scheme, matcher.SNI, matcher.ALPN, matcher.TLS, matcher.ClientCert,
		},
		Handlers: []handler.Module{
			handler.ProxyHTTP,
			handler.Respond,
			handler.Monitor,
			handler.Redirect,
			handler.Metrics,
			handler.Deny,
			handler.Tarpit,
			handler.Handle,
			handler.Header,
			handler.Rewrite,
			handler.Error,
			handler.BasicAuth,
			handler.Stats,
			handler.ForwardFor,
			handler.TrustedProxies,
		},
		Streams: []handler.StreamModule{
			handler.ProxyTCP,
			handler.DenyTCP,
		},
		Logging: logging.Modules{
			Formats: httplog.Modules(),
			Sinks:   append([]logging.SinkModule{syslog.Module()}, file.Modules()...),
			// A text with placeholders is a format, too.
			Template: httplog.Template,
		},
		Settings: append(settings(), processWords()...),
	}
}

// Vocabulary gathers what the modules declare.
func (s *Set) Vocabulary() *spec.Vocabulary {
	v := &spec.Vocabulary{Placeholders: append(template.Placeholders(), httplog.Placeholders()...)}
	v.Directives = append(v.Directives, s.Settings...)
	v.Directives = append(v.Directives, s.Logging.Words()...)
	for i := range s.Handlers {
		v.Directives = append(v.Directives, s.Handlers[i].Spec)
	}
	for i := range s.Streams {
		v.Directives = append(v.Directives, s.Streams[i].Spec)
	}
	v.Directives = append(v.Directives, pool.Words()...)
	v.Directives = append(v.Directives, persistence.TableWord(), TestWord())
	for i := range s.Matchers {
		v.Matchers = append(v.Matchers, s.Matchers[i].Spec)
	}
	return v
}

// Handler finds a handler module by its word.
func (s *Set) Handler(word string) *handler.Module {
	for i := range s.Handlers {
		if s.Handlers[i].Spec.Name == word {
			return &s.Handlers[i]
		}
	}
	return nil
}

// Stream finds a stream module by its word.
func (s *Set) Stream(word string) *handler.StreamModule {
	for i := range s.Streams {
		if s.Streams[i].Spec.Name == word {
			return &s.Streams[i]
		}
	}
	return nil
}
