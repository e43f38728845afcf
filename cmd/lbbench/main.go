//go:build linux

// Command lbbench compares Loadstar with HAProxy, nginx and Caddy on the same
// work, side by side on one machine, and soaks Loadstar in reloads.
//
//	lbbench [bench] [--short] [--only a,b] [--products a,b] [--json FILE]
//	lbbench soak [--reloads N] [--product loadstar|haproxy|nginx]
//
// The product under test is bound to one processor, the origin and the load
// generator to another. Rounds alternate between the products, so that whatever
// else the machine does meets them alike, and medians are shown. CPU time is
// what the kernel says about the product's processes, threads included.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

var errUsage = errors.New("usage")

func main() {
	err := dispatch(os.Args[1:])
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "lbbench:", err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "lbbench:", err)
		os.Exit(1)
	}
}

func dispatch(args []string) error {
	name := "bench"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	}
	switch name {
	case "bench":
		return benchCommand(args)
	case "soak":
		return soakCommand(args)
	// The rest are the child processes that the two start.
	case "origin":
		return runOrigin(os.Stdin, os.Stdout)
	case "load":
		var plan loadPlan
		fs := flag.NewFlagSet("load", flag.ContinueOnError)
		plan.flags(fs)
		if err := fs.Parse(args); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
		return runLoad(plan, os.Stdin, os.Stdout)
	case "pinned":
		return runPinned(args)
	default:
		return fmt.Errorf("%w: unknown command %q (bench, soak)", errUsage, name)
	}
}

// options of the comparison.
type options struct {
	Short    bool
	Only     string // names of work, comma-separated; "": all
	Products string
	JSON     string
	Loadstar string // program
	Caddy    string // program
	Reuse    string // HAProxy's http-reuse
	Rounds   int
	Time     time.Duration // of a round
}

func benchCommand(args []string) error {
	var o options
	fs := flag.NewFlagSet("lbbench", flag.ContinueOnError)
	fs.BoolVar(&o.Short, "short", false, "one short round of each: a look, not a measurement")
	fs.StringVar(&o.Only, "only", "", "work to do, comma-separated (see --list)")
	fs.StringVar(&o.Products, "products", "", "products to compare, comma-separated")
	fs.StringVar(&o.JSON, "json", "", "write the results to a file")
	fs.StringVar(&o.Loadstar, "loadstar", "bin/loadstar", "Loadstar's program")
	fs.StringVar(&o.Caddy, "caddy", ".bench/caddy", "Caddy's program")
	fs.StringVar(&o.Reuse, "haproxy-reuse", "safe", "HAProxy's http-reuse (its default is safe)")
	fs.IntVar(&o.Rounds, "rounds", 3, "rounds of each product and work")
	fs.DurationVar(&o.Time, "time", 2*time.Second, "length of a round")
	list := fs.Bool("list", false, "list the work and end")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if *list {
		for _, w := range works(false) {
			fmt.Printf("%-9s %s\n", w.Name, w.Doc)
		}
		return nil
	}
	if o.Short {
		o.Rounds, o.Time = 1, 700*time.Millisecond
	}
	return bench(o, os.Stdout)
}
