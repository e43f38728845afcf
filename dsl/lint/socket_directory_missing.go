package lint

import (
	"path/filepath"
	"strings"

	"github.com/loadstar-lb/loadstar/dsl/config"
	"github.com/loadstar-lb/loadstar/dsl/diag"
)

var socketDirectoryMissing = &Rule{Name: "socket-directory-missing", Severity: diag.Warning, Here: true, check: func(p *Pass) {
	look := func(at diag.Range, path string) {
		dir := filepath.Dir(path)
		if info, err := p.Env.Stat(dir); err == nil && info.IsDir() || !filepath.IsAbs(path) {
			return
		}
		d := p.report(at, "the directory %s is not there, so no socket can be made in it", dir)
		help(d, "make it, or have systemd do so: RuntimeDirectory=loadstar is /run/loadstar")
	}
	if n := config.Last(p.Config.Process, "admin"); n != nil && len(n.Args) > 0 {
		if path, ok := strings.CutPrefix(n.Text(0), "unix/"); ok {
			look(n.Args[0].Range, path)
		}
	}
	p.eachSite(func(s *config.Site) {
		for i := range s.Addresses {
			if a := &s.Addresses[i]; a.Path != "" {
				look(a.Range, a.Path)
			}
		}
	})
}}
