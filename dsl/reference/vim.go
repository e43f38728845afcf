package reference

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
)

// vimHead and vimTail stand around the words of the vim syntax file.
const vimHead = `" Vim syntax file for Lbfiles. Generated from the vocabulary by
" "make docs"; do not edit.
if exists("b:current_syntax")
  finish
endif
syn case match
setlocal iskeyword=@,48-57,_,-,.
setlocal commentstring=#\ %s

`

const vimTail = `
syn match lbfileSnippet "^\s*([A-Za-z0-9_-]\+)\ze\s*{"
syn match lbfileSite "^\%(\%(https\?\|tcp\|tls\):\/\/\S*\|[A-Za-z0-9*.-]*:\d\+\|[A-Za-z0-9*-]\+\%(\.[A-Za-z0-9-]\+\)\+\)\%(,\s*\S\+\)*\ze\s\+{"
syn match lbfileMatcher "\%(^\|[[:blank:](]\)\@<=@[A-Za-z0-9_.-]\+"
syn match lbfileNumber "\%(^\|\s\)\@<=\d\+\%(\.\d\+\)\?\%(ns\|us\|ms\|s\|m\|h\|d\|[KMGT]i\?B\|B\|%\|\/[smhd]\)\?\ze\%(\s\|$\)"
syn match lbfilePlaceholder "{\$\?[A-Za-z_][^{}[:blank:]]*}"
syn match lbfileEscape contained "\\[\"\\nt]"
syn region lbfileString start=+\%(^\|\s\)\@<="+ skip=+\\.+ end=+"+ oneline contains=lbfileEscape,lbfilePlaceholder
syn region lbfileRaw start=+\%(^\|\s\)\@<=` + "`+ end=+`" + `+
syn region lbfileHeredoc start="\%(^\|\s\)\@<=<<\z([A-Za-z_][A-Za-z0-9_]*\)\s*$" end="^\s*\z1\ze\%(\s\|$\)" contains=lbfilePlaceholder
syn match lbfileComment "\%(^\|\s\)\@<=#.*$" contains=@Spell

hi def link lbfileDirective Statement
hi def link lbfileOption Identifier
hi def link lbfileValue Constant
hi def link lbfileCondition Function
hi def link lbfileOperator Operator
hi def link lbfileSnippet Function
hi def link lbfileSite Title
hi def link lbfileMatcher Type
hi def link lbfileNumber Number
hi def link lbfilePlaceholder Special
hi def link lbfileEscape SpecialChar
hi def link lbfileString String
hi def link lbfileRaw String
hi def link lbfileHeredoc String
hi def link lbfileComment Comment

let b:current_syntax = "lbfile"
`

// Vim gives the syntax file for vim and neovim.
func Vim(v *spec.Vocabulary) string {
	w := wordsOf(v)
	var b strings.Builder
	b.WriteString(vimHead)
	// What comes later goes before what came earlier.
	for _, group := range []struct {
		name, head string
		words      []string
	}{
		{"lbfileValue", `\%(\s\)\@<=`, w.values},
		{"lbfileOption", `\%(^\|\s\)\@<=`, w.options},
		{"lbfileCondition", `\%(@\S\+\s\+\|\<and\s\+\|\<or\s\+\|\<not\s\+\|(\)\@<=`, w.matchers},
		{"lbfileOperator", `\%(\s\)\@<=`, []string{"and", "or", "not"}},
		{"lbfileDirective", `^\s*\zs`, w.directives},
	} {
		for chunk := range chunks(group.words) {
			b.WriteString("syn match " + group.name + ` "` + group.head + `\%(` + strings.Join(chunk, `\|`) + `\)\ze\%([[:blank:])]\|$\)"` + "\n")
		}
	}
	b.WriteString(vimTail)
	return b.String()
}

// chunks cuts a list so that lines stay readable.
func chunks(list []string) func(func([]string) bool) {
	const most = 12
	return func(yield func([]string) bool) {
		for len(list) > 0 {
			n := min(most, len(list))
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}
