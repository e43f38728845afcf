package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/diag"
	"github.com/loadstar-lb/loadstar/dsl/lint"
)

// writeJSON writes all findings as one array.
func writeJSON(w io.Writer, all []report) error {
	var list diag.List
	for _, r := range all {
		list = append(list, r.found...)
	}
	text, err := diag.MarshalList(list)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// writeGitHub writes workflow commands, which GitHub shows beside the lines of a
// change (its "Workflow commands for GitHub Actions").
func writeGitHub(w io.Writer, all []report) error {
	word := map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Info: "notice"}
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, r := range all {
		for _, d := range r.found {
			place := "file=" + property.Replace(d.Range.File)
			if d.Range.Start.Line > 0 {
				place += fmt.Sprintf(",line=%d,col=%d,endLine=%d", d.Range.Start.Line, d.Range.Start.Column, max(d.Range.End.Line, d.Range.Start.Line))
			}
			message := strings.Join(append([]string{d.Message}, d.Help...), "\n")
			if _, err := fmt.Fprintf(w, "::%s %s,title=%s::%s\n", word[d.Severity], place, property.Replace(d.Rule), data.Replace(message)); err != nil {
				return err
			}
		}
	}
	return nil
}

// The parts of SARIF 2.1.0 (OASIS) that are written: §3.13 to §3.52.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Columns string        `json:"columnKind"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID     string      `json:"id"`
		Short  sarifText   `json:"shortDescription"`
		Help   sarifHelp   `json:"help"`
		Config sarifConfig `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifHelp struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown"`
	}
	sarifConfig struct {
		Level string `json:"level"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
		Related   []sarifLocation `json:"relatedLocations,omitempty"`
	}
	sarifLocation struct {
		Physical sarifPhysical `json:"physicalLocation"`
		Message  *sarifText    `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
		EndLine     int `json:"endLine,omitempty"`
		EndColumn   int `json:"endColumn,omitempty"`
	}
)

// writeSARIF writes what code scanning services read, with the pages of the rules
// that were hit.
func writeSARIF(w io.Writer, all []report) error {
	run := sarifRun{Columns: "unicodeCodePoints", Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "lbfmt lint", Rules: []sarifRule{}}
	seen := map[string]bool{}
	for _, r := range all {
		for _, d := range r.found {
			if rule := lint.Find(d.Rule); rule != nil && !seen[d.Rule] {
				seen[d.Rule] = true
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{
					ID: rule.Name, Short: sarifText{rule.Summary()}, Help: sarifHelp{rule.Page(), rule.Page()}, Config: sarifConfig{level(rule.Severity)},
				})
			}
			run.Results = append(run.Results, sarifOf(&d))
		}
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{
		Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifOf(d *diag.Diagnostic) sarifResult {
	out := sarifResult{
		RuleID: d.Rule, Level: level(d.Severity), Message: sarifText{strings.Join(append([]string{d.Message}, d.Help...), "\n")},
		Locations: []sarifLocation{sarifPlace(d.Range)},
	}
	for _, l := range d.Labels {
		place := sarifPlace(l.Range)
		place.Message = &sarifText{l.Message}
		out.Related = append(out.Related, place)
	}
	return out
}

func sarifPlace(r diag.Range) sarifLocation {
	p := sarifPhysical{Artifact: sarifArtifact{strings.ReplaceAll(r.File, "\\", "/")}}
	if r.Start.Line > 0 {
		p.Region = &sarifRegion{r.Start.Line, r.Start.Column, r.End.Line, r.End.Column}
	}
	return sarifLocation{Physical: p}
}

func level(s diag.Severity) string {
	return map[diag.Severity]string{diag.Error: "error", diag.Warning: "warning", diag.Info: "note"}[s]
}
