package main

import (
	_ "embed" // the units
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The units are in the program, too: whoever has nothing but that has them as well.
//
//go:embed package/loadstar.service
var serviceUnit string

//go:embed package/loadstar.socket
var socketUnit string

func systemdCommand() *cobra.Command {
	var socket bool
	var program, config string
	c := &cobra.Command{
		Use:   "systemd",
		Short: "Print a unit for systemd",
		Long: "Print a unit for systemd: with readiness and reloads told, a watchdog, and a sandbox. It is made for a user loadstar " +
			"(useradd --system --no-create-home --shell /usr/sbin/nologin loadstar).",
		Example: "loadstar systemd > /etc/systemd/system/loadstar.service",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			unit := socketUnit
			if !socket {
				if strings.ContainsAny(program+config, " \t\n\"'\\%$;") {
					return fmt.Errorf("%q and %q: systemd would not take such names as they are", program, config)
				}
				unit = strings.Replace(serviceUnit, "/usr/bin/loadstar run --config /etc/loadstar/Lbfile", program+" run --config "+config, 1)
			}
			_, err := fmt.Fprint(c.OutOrStdout(), unit)
			return err
		},
	}
	c.Flags().BoolVar(&socket, "socket", false, "the unit of sockets that systemd opens, instead")
	c.Flags().StringVar(&program, "program", "/usr/bin/loadstar", "where the program is")
	c.Flags().StringVarP(&config, "config", "c", "/etc/loadstar/Lbfile", "the configuration file")
	return c
}
