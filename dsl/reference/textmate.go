package reference

import (
	"encoding/json"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// words gathers what grammars highlight, each list sorted.
type words struct{ directives, options, values, matchers []string }

func wordsOf(v *spec.Vocabulary) words {
	var w words
	w.directives = []string{"pool", "test", "import"}
	for i := range v.Directives {
		w.directives = append(w.directives, v.Directives[i].Name)
		w.below(&v.Directives[i])
	}
	for i := range v.Matchers {
		w.matchers = append(w.matchers, v.Matchers[i].Name)
	}
	for _, list := range []*[]string{&w.directives, &w.options, &w.values, &w.matchers} {
		sort.Strings(*list)
		*list = slices.Compact(*list)
	}
	return w
}

// below gathers the options, the variants and the fixed values of a word.
func (w *words) below(of *spec.Word) {
	for i := range of.Args {
		w.values = append(w.values, of.Args[i].Words...)
	}
	for i := range of.Options {
		w.options = append(w.options, of.Options[i].Name)
		w.below(&of.Options[i])
	}
	for i := range of.Variants {
		w.values = append(w.values, of.Variants[i].Name)
		w.below(&of.Variants[i])
	}
}

// either makes an alternation of whole words.
func either(list []string) string {
	quoted := make([]string, len(list))
	for i, w := range list {
		quoted[i] = regexp.QuoteMeta(w)
	}
	return "(?:" + strings.Join(quoted, "|") + ")"
}

// rule is a pattern of a TextMate grammar
// (https://macromates.com/manual/en/language_grammars).
type rule struct {
	Name          string          `json:"name,omitempty"`
	Match         string          `json:"match,omitempty"`
	Begin         string          `json:"begin,omitempty"`
	End           string          `json:"end,omitempty"`
	Captures      map[string]rule `json:"captures,omitempty"`
	BeginCaptures map[string]rule `json:"beginCaptures,omitempty"`
	EndCaptures   map[string]rule `json:"endCaptures,omitempty"`
	Patterns      []rule          `json:"patterns,omitempty"`
	Include       string          `json:"include,omitempty"`
}

// TextMate gives the grammar for editors that read TextMate's format, as JSON.
func TextMate(v *spec.Vocabulary) (string, error) {
	w := wordsOf(v)
	const before, behind = `(?<=^|[\s(])`, `(?=[\s)]|$)`
	filled := rule{Include: "#placeholder"}
	grammar := map[string]any{
		"$schema":   "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
		"name":      "Lbfile",
		"scopeName": "source.lbfile",
		"fileTypes": []string{"lb", "Lbfile"},
		"patterns": []rule{
			{Name: "comment.line.number-sign.lbfile", Match: `(?<=^|\s)#.*$`},
			{Name: "string.quoted.double.lbfile", Begin: `(?<=^|\s)"`, End: `"|$`,
				Patterns: []rule{{Name: "constant.character.escape.lbfile", Match: `\\["\\nt]`}, filled}},
			{Name: "string.quoted.other.lbfile", Begin: "(?<=^|\\s)`", End: "`"},
			{Name: "string.unquoted.heredoc.lbfile", Begin: `(?<=^|\s)<<([A-Za-z_][A-Za-z0-9_]*)\s*$`, End: `^\s*\1(?=\s|$)`, Patterns: []rule{filled}},
			{Match: `^\s*(\([A-Za-z0-9_-]+\))(?=\s*\{)`, Captures: map[string]rule{"1": {Name: "entity.name.function.lbfile"}}},
			{Match: `^\s*(pool|table)\s+([^\s{]+)`, Captures: map[string]rule{"1": {Name: "keyword.other.lbfile"}, "2": {Name: "entity.name.type.lbfile"}}},
			{Name: "variable.other.matcher.lbfile", Match: before + `@[A-Za-z0-9_.-]+`},
			{Match: `^\s*(` + either(w.directives) + `)` + behind, Captures: map[string]rule{"1": {Name: "keyword.control.lbfile"}}},
			{Name: "entity.name.section.lbfile", Match: `^(?:(?:https?|tcp|tls)://\S*|[A-Za-z0-9*.-]*:\d+|[A-Za-z0-9*-]+(?:\.[A-Za-z0-9-]+)+)(?:,\s*\S+)*(?=\s+\{)`},
			{Name: "keyword.operator.lbfile", Match: before + `(?:and|or|not)` + behind},
			filled,
			{Name: "constant.numeric.lbfile", Match: before + `\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d|[KMGT]i?B|B|%|/[smhd])?` + behind},
			{Name: "support.function.lbfile", Match: before + either(w.matchers) + behind},
			{Name: "variable.parameter.lbfile", Match: `(?<=^|\s)` + either(w.options) + behind},
			{Name: "support.constant.lbfile", Match: `(?<=\s)` + either(w.values) + behind},
			{Name: "punctuation.section.block.lbfile", Match: `(?<=^|\s)[{}](?=\s|$)`},
			{Name: "constant.character.escape.lbfile", Match: `\\\s*$`},
		},
		"repository": map[string]any{
			"placeholder": rule{Name: "variable.language.lbfile", Match: `\{\$?[A-Za-z_][^{}\s]*\}`},
		},
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(grammar)
	return b.String(), err
}
