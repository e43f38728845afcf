package dsl_test

import (
	"testing"

	"github.com/loadstar-lb/loadstar/dsl"
)

// TestArticle loads the language page's large example and looks at what it
// means.
func TestArticle(t *testing.T) {
	env := func(name string) (string, bool) { return "$2y$hash", name == "STATS_PASSWORD_HASH" }
	cfg, _, list := dsl.Load("testdata/article.lb", nil, dsl.Options{Vocabulary: vocabulary(), Env: env})
	if len(list) != 0 {
		t.Fatal(list)
	}
	if n := len(cfg.Pools); n != 4 {
		t.Errorf("%d pools, want 4", n)
	}
	stats := cfg.Sites[0].Body[1]
	if stats.Word != "stats" || stats.OptionText("realm") != "Loadstar Statistics" || stats.Option("auth").Text(1) != "$2y$hash" {
		t.Errorf("stats is read as %+v", stats)
	}
	first := cfg.Sites[0].Body[2]
	if first.WhenName != "@acl_example1" || first.When == nil || first.When.Word != "url" || first.Text(0) != "example1_farm" {
		t.Errorf("the first route is read as %+v", first)
	}
	if !cfg.Sites[1].TCP || cfg.Sites[1].Addresses[0].Port != 443 {
		t.Errorf("the tcp site is read as %+v", cfg.Sites[1])
	}
}
