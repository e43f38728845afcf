package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/loadstar-lb/loadstar/modules/auth"
)

func hashPasswordCommand() *cobra.Command {
	var cost int
	c := &cobra.Command{
		Use:   "hash-password",
		Short: "Make the hash of a password, for `basic_auth` and `stats`",
		Long: "Make the bcrypt hash of a password, for `basic_auth` and `stats … auth`. At a terminal it asks twice and shows nothing of " +
			"what is typed; from a pipe it takes the first line. A password is never an argument: those are seen by every user of the machine, " +
			"and kept in the shell's history. A configuration takes the hash from the environment: auth admin {$STATS_PASSWORD_HASH}",
		Example: "  loadstar hash-password\n  printf '%s' \"$PASSWORD\" | loadstar hash-password --cost 10",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return errors.New("a password is not given as an argument, where other users and the shell's history see it; " +
					"type it when asked, or pipe it in")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			password, err := readPassword(c.InOrStdin(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			hash, err := auth.Hash(password, cost)
			clear(password)
			if err != nil {
				fmt.Fprintf(c.ErrOrStderr(), "loadstar: %v\n", err)
				return exitCode(exitInput)
			}
			fmt.Fprintln(c.OutOrStdout(), hash)
			return nil
		},
	}
	c.Flags().IntVar(&cost, "cost", auth.DefaultCost,
		fmt.Sprintf("how dear each guess is, %d to %d; one more doubles the time of a sign-in", auth.MinCost, auth.MaxCost))
	return c
}

// maxPasswordLine bounds what is read from a pipe.
const maxPasswordLine = 4096

// readPassword asks at a terminal, and reads one line from anything else.
func readPassword(in io.Reader, ask io.Writer) ([]byte, error) {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return askTwice(int(f.Fd()), ask)
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPasswordLine))
	if err != nil {
		return nil, err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// askTwice asks without echo, so that a slip of the finger locks nobody out.
func askTwice(fd int, ask io.Writer) ([]byte, error) {
	defer restoreOnInterrupt(fd)()
	var typed [2][]byte
	for i, prompt := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(ask, prompt)
		p, err := term.ReadPassword(fd)
		fmt.Fprintln(ask)
		if err != nil {
			return nil, err
		}
		typed[i] = p
	}
	defer clear(typed[1])
	if !bytes.Equal(typed[0], typed[1]) {
		clear(typed[0])
		return nil, errors.New("the two differ")
	}
	return typed[0], nil
}

// restoreOnInterrupt gives the terminal its echo back when ^C ends the asking.
func restoreOnInterrupt(fd int) (done func()) {
	before, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		if _, ok := <-interrupted; ok {
			_ = term.Restore(fd, before)
			os.Exit(128 + int(syscall.SIGINT))
		}
	}()
	return func() {
		signal.Stop(interrupted)
		close(interrupted)
	}
}
