package logging

import (
	"fmt"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/listener/flow"
)

// FormatModule is one format, as the option "format" names it.
type FormatModule struct {
	Name string
	Doc  string
	// Streams names the format that tcp sites get when a process's sink asks for this
	// one, "" if this one fits them itself.
	Streams string
	// New makes the format for one site. What of headers it writes it asks of field,
	// which gives the value's place in Record.Fields.
	New func(field func(flow.Capture) int) Format
}

// SinkModule is one kind of sink: a variant of `log`.
type SinkModule struct {
	// Spec declares the variant's arguments and the options of its own; those
	// that every sink has are added by Words.
	Spec spec.Word
	// Key reads what names the sink. An error is about the arguments.
	Key func(n *config.Node) (Key, error)
	// Open starts the sink. It must not wait for a peer; an error refuses the
	// configuration (a file that cannot be written).
	Open func(k Key) (Sink, error)
}

// Modules are all formats and sinks. The first format is the default of HTTP
// sites, its Streams that of tcp sites.
type Modules struct {
	Formats []FormatModule
	Sinks   []SinkModule
	// Template makes a format of a text with placeholders.
	Template func(text string) (*FormatModule, error)
}

// The variants of a site's `log` that name no sink.
const (
	// Process is what `log` alone means: the sinks of the process.
	Process = "process"
	// Off silences a site.
	Off = "off"
)

// Words declares `log`, once for the process and once for sites.
func (m Modules) Words() []spec.Word {
	const doc = "Write a line about every exchange or stream to a sink."
	sinks := make([]spec.Word, 0, len(m.Sinks)+2)
	for _, s := range m.Sinks {
		w := s.Spec
		w.Options = append(append([]spec.Word{}, w.Options...), m.options("info")...)
		sinks = append(sinks, w)
	}
	site := append(append([]spec.Word{}, sinks...),
		spec.Word{
			Name: Process, Doc: "The sinks of the process; what `log` alone means.",
			Options: m.options(""), Example: "log",
		},
		spec.Word{Name: Off, Doc: "Write nothing about this site.", Example: "log off"},
	)
	return append([]spec.Word{
		{
			Name: "log", Doc: doc, In: spec.InProcess, Repeat: true, Variants: sinks,
			Long: "In the options of the process, `log` names where every site's lines go, and Loadstar's own " +
				"messages with them. It may stand several times.",
			Example: "log syslog udp://127.0.0.1:514 facility local0 level info",
		},
		{
			Name: "log", Doc: doc, In: spec.InSite, Repeat: true, Matcher: true, Variants: site, Variant: Process,
			Long: "A site without `log` uses the sinks of the process. `log SINK` replaces them for this site, " +
				"`log` beside it keeps them, `log off` silences the site. With a matcher it counts only for what matches, " +
				"before any directive changed it: `log @api file api.log`, `log @probes off`. A request that could not be " +
				"read matches nothing.",
			Example: "log file /var/log/loadstar/shop.log",
		},
	}, captureWords()...)
}

// options are those that every sink has.
func (m Modules) options(level string) []spec.Word {
	formats := make([]string, len(m.Formats))
	for i, f := range m.Formats {
		formats[i] = f.Name
	}
	return []spec.Word{
		{
			Name: "level", Default: level, Example: "level notice",
			Doc: "The least severe level that the sink takes; traffic is info.",
			Args: []spec.Arg{{
				Name: "LEVEL", Kind: spec.Enum, Words: levelNames,
				Doc: "A syslog severity, from emerg to debug.",
			}},
		},
		{
			Name: "format", Example: "format combined",
			Doc: "How a line is written: httplog for HTTP sites and tcplog for tcp sites, if absent.",
			Args: []spec.Arg{{
				Name: "FORMAT", Kind: spec.Template, Log: true, Words: formats,
				Doc: "The name of a format, or a text with placeholders.",
			}},
		},
		{
			Name: "dontlognull", Example: "dontlognull",
			Doc: "Leave out connections on which the client sent nothing.",
		},
		{
			Name: "separate_errors", Example: "separate_errors",
			Doc: "Write failures, retries and 5xx answers at level err instead of info.",
		},
		{
			Name: "dontlog_normal", Example: "dontlog_normal",
			Doc: "Write failures, retries and 5xx answers only.",
		},
		{
			Name: "sample", Example: "sample 1/100",
			Doc: "Write only a part of what went well; failures, retries and 5xx answers are all written.",
			Args: []spec.Arg{{
				Name: "PART", Kind: spec.String, Doc: "such as 1/100 or 5%, evenly spread",
			}},
		},
	}
}

func (m Modules) sink(kind string) *SinkModule {
	for i := range m.Sinks {
		if m.Sinks[i].Spec.Name == kind {
			return &m.Sinks[i]
		}
	}
	return nil
}

// format finds a format by name, or makes one of a text with placeholders.
func (m Modules) format(text string) (*FormatModule, error) {
	if f := m.named(text); f != nil {
		return f, nil
	}
	if m.Template == nil || !strings.Contains(text, "{") {
		return nil, fmt.Errorf("unknown format %q", text)
	}
	return m.Template(text)
}

func (m Modules) named(name string) *FormatModule {
	for i := range m.Formats {
		if m.Formats[i].Name == name {
			return &m.Formats[i]
		}
	}
	return nil
}
