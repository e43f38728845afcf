package lsp

import (
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/spec"
	"github.com/loadstar-lb/loadstar/dsl/syntax"
)

// exprState is how far an expression of a matcher has been read.
type exprState struct {
	cond *spec.Word // whose values come
	next int        // its argument
}

// expr reads the words of `@name EXPRESSION` behind the name.
func (l *line) expr(v *spec.Vocabulary, words []syntax.Word) exprState {
	var st exprState
	for i := range words {
		l.exprWord(v, &words[i], &st)
	}
	return st
}

func (l *line) exprWord(v *spec.Vocabulary, w *syntax.Word, st *exprState) {
	word := *w
	if word.Quote == syntax.Plain && st.cond == nil { // parentheses may touch what begins here
		n := len(word.Text) - len(strings.TrimLeft(word.Text, "("))
		word.Text = word.Text[n:]
		word.Range.Start.Offset += n
	}
	if word.Quote == syntax.Plain {
		over := strings.Count(word.Text, ")") - strings.Count(word.Text, "(")
		for ; over > 0 && strings.HasSuffix(word.Text, ")"); over-- {
			word.Text = word.Text[:len(word.Text)-1]
			word.Range.End.Offset--
		}
	}
	if word.Text == "" && word.Quote == syntax.Plain {
		if strings.HasSuffix(w.Text, ")") {
			*st = exprState{}
		}
		return
	}
	word.Raw = word.Text
	plain := word.Quote == syntax.Plain
	switch cond := v.Matcher(word.Text); {
	case plain && (word.Text == "and" || word.Text == "or" || word.Text == "not"):
		*st = exprState{}
		l.add(token{role: operator, text: word.Text}, word.Range)
	case st.cond != nil:
		if st.next < len(st.cond.Args) {
			l.value(&word, &st.cond.Args[st.next])
			if !st.cond.Args[st.next].Variadic {
				st.next++
			}
		} else {
			l.add(token{role: unknown, text: word.Text, word: st.cond}, word.Range)
		}
	case isMatcher(&word):
		l.name(&word, matcher, false)
	case plain && cond != nil:
		st.cond, st.next = cond, 0
		l.add(token{role: condition, text: word.Text, word: cond}, word.Range)
	default:
		l.add(token{role: unknown, text: word.Text}, word.Range)
	}
	if strings.HasSuffix(w.Text, ")") && word.Range.End != w.Range.End {
		*st = exprState{}
	}
}
