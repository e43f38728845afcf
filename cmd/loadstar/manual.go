package main

import (
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/cmd/internal/man"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages to a directory",
		Long:  "Write the manual pages loadstar(1) and lbfile(5), of the language, to a directory. `lbfmt man` writes its own.",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			for name, text := range map[string]string{
				"loadstar.1": man.Command(c.Root(), versionText(), manual...),
				"lbfile.5":   man.Language(vocabulary, versionText()),
			} {
				if err := os.WriteFile(filepath.Join(args[0], name), []byte(text), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// manual is what the commands do not know of themselves.
var manual = []man.Extra{
	{Title: "Signals", Text: "- `SIGHUP`: the configuration is read again. If it is refused, the old one goes on.\n" +
		"- `SIGUSR1`: log files are opened anew, after a rotation.\n" +
		"- `SIGUSR2`: the program is started anew and gets the sockets; this process ends with its last connection. See upgrade.\n" +
		"- `SIGTERM`, `SIGINT`: what is in progress ends, for as long as `grace` allows; a second one ends it at once."},
	{Title: "Environment", Text: "- `NOTIFY_SOCKET`, `WATCHDOG_USEC`, `LISTEN_FDS`: systemd is told how the process is, and its sockets are taken over; see sd_notify(3) and sd_listen_fds(3).\n" +
		"- `RUNTIME_DIRECTORY`, `STATE_DIRECTORY`: where the admin endpoint is, and what must survive a restart.\n" +
		"- `NO_COLOR`: diagnostics come without colours.\n" +
		"- `GOMAXPROCS`, `GOMEMLIMIT`: how many processors and how much memory are used."},
	{Title: "Files", Text: "- `/etc/loadstar/Lbfile`: the configuration that the packaged service reads; see lbfile(5).\n" +
		"- `/run/loadstar/admin.sock`: the admin endpoint.\n" +
		"- `/var/lib/loadstar`: what must survive a restart."},
	{Title: "Exit status", Text: "0: good. 1: the input is at fault. 2: wrong usage, or a file that cannot be read."},
	{Title: "See also", Text: "`lbfile`(5), `lbfmt`(1)"},
}
