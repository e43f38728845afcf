// Package file holds the sinks that are files: `file PATH`, `stdout` and `stderr`.
//
// A file is opened when the configuration is loaded, so that one that cannot be
// written is refused there; later faults (a full disk, a directory that vanished) cost
// lines only. It is opened anew when asked (SIGUSR1), and by itself within a
// second of being renamed or removed.
package file

import (
	"path/filepath"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/logging"
)

// Modules lists the sinks.
func Modules() []logging.SinkModule {
	return []logging.SinkModule{
		{
			Spec: spec.Word{
				Name: "file", Example: "log file /var/log/loadstar/access.log",
				Doc: "Append to a file; opened anew on SIGUSR1 and after a rotation.",
				Args: []spec.Arg{{
					Name: "PATH", Kind: spec.File,
					Doc: "The file; created with mode 0640 if absent. A relative name starts at the configuration file.",
				}},
				Options: []spec.Word{rotateWord()},
			},
			Key: key,
			Open: func(k logging.Key) (logging.Sink, error) {
				t, err := open(k.Target, parseRotation(k.Options))
				if err != nil {
					return nil, err
				}
				return logging.NewQueue(k, t), nil
			},
		},
		standard("stdout", 1, "Write to the standard output."),
		standard("stderr", 2, "Write to the standard error."),
	}
}

func key(n *config.Node) (logging.Key, error) {
	path := n.Text(0)
	if !filepath.IsAbs(path) && len(n.Args) > 0 {
		path = filepath.Join(filepath.Dir(n.Args[0].Range.File), path)
	}
	// Absolute: one file is one sink, however it is named.
	path, err := filepath.Abs(path)
	return logging.Key{Kind: "file", Target: path, Options: rotationOf(n)}, err
}

func standard(name string, fd int, doc string) logging.SinkModule {
	return logging.SinkModule{
		Spec: spec.Word{Name: name, Doc: doc, Example: "log " + name},
		Key:  func(*config.Node) (logging.Key, error) { return logging.Key{Kind: name}, nil },
		Open: func(k logging.Key) (logging.Sink, error) {
			t, err := duplicate(fd)
			if err != nil {
				return nil, err
			}
			return logging.NewQueue(k, t), nil
		},
	}
}
