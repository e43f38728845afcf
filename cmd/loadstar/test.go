package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/loadstar-lb/loadstar/modules/explain"
)

func testCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "test",
		Short: "Run the `test` blocks of a configuration",
		Long: "Run the `test` blocks of a configuration: it is decided what would become of each request, as by `explain`, and compared with\n" +
			"what is expected. Nothing is sent. Exit codes: 0 all pass, 1 one fails, 2 wrong usage or an unreadable file.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			write := map[string]func(io.Writer, string, []explain.Verdict) error{"table": writeTable, "json": writeVerdicts, "junit": writeJUnit}[format]
			if write == nil {
				return fmt.Errorf("--format takes table, json or junit, not %q", format)
			}
			e, err := explainer(c, file)
			if err != nil {
				return err
			}
			defer e.Close()
			all := e.Verify()
			if err := write(c.OutOrStdout(), file, all); err != nil {
				return err
			}
			if failed(all) > 0 {
				return exitCode(exitInput)
			}
			return nil
		},
	}
	configFlag(c, &file)
	c.Flags().StringVar(&format, "format", "table", "how to print the results: table, json or junit")
	return c
}

func failed(all []explain.Verdict) (n int) {
	for _, v := range all {
		if !v.Passed {
			n++
		}
	}
	return n
}

func writeTable(w io.Writer, _ string, all []explain.Verdict) error {
	var b strings.Builder
	for _, v := range all {
		word := "ok  "
		if !v.Passed {
			word = "FAIL"
		}
		fmt.Fprintf(&b, "%s  %s\n", word, v.Name)
		for _, f := range v.Failures {
			fmt.Fprintf(&b, "      %s\n", f)
		}
		if !v.Passed {
			fmt.Fprintf(&b, "      %s\n", v.At)
			if v.Answer != nil {
				fmt.Fprintf(&b, "      %s, from %s\n", v.Answer.Request, v.Answer.From)
			}
		}
	}
	fmt.Fprintf(&b, "%d passed, %d failed\n", len(all)-failed(all), failed(all))
	_, err := io.WriteString(w, b.String())
	return err
}

func writeVerdicts(w io.Writer, _ string, all []explain.Verdict) error {
	return printJSON(w, map[string]any{"passed": len(all) - failed(all), "failed": failed(all), "tests": all})
}

// The parts of JUnit's XML that CI services read (the Jenkins schema).
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitFailure `xml:"failure"`
	}
	junitFailure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

func writeJUnit(w io.Writer, file string, all []explain.Verdict) error {
	s := junitSuite{Name: file, Tests: len(all), Failures: failed(all)}
	for _, v := range all {
		c := junitCase{Name: v.Name, Class: file}
		if !v.Passed {
			c.Failure = &junitFailure{Message: v.Failures[0], Text: v.At + "\n" + strings.Join(v.Failures, "\n")}
		}
		s.Cases = append(s.Cases, c)
	}
	text, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, text)
	return err
}
