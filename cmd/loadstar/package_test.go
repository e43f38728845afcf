//go:build package

package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The Debian package that `make deb` has made: what is in it works from where it is.
func TestPackage(t *testing.T) {
	debs, _ := filepath.Glob("../../dist/*.deb")
	if len(debs) != 1 {
		t.Fatalf("packages in dist/: %v; make deb makes one", debs)
	}
	root := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "-x", debs[0], root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	control := t.TempDir()
	if out, err := exec.Command("dpkg-deb", "-e", debs[0], control).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{
		"usr/bin/loadstar", "usr/bin/lbfmt", "etc/loadstar/Lbfile", "lib/systemd/system/loadstar.service", "lib/systemd/system/loadstar.socket",
		"usr/share/man/man1/loadstar.1.gz", "usr/share/man/man1/lbfmt.1.gz", "usr/share/man/man5/lbfile.5.gz",
		"usr/share/bash-completion/completions/loadstar", "usr/share/zsh/vendor-completions/_loadstar",
		"usr/share/fish/vendor_completions.d/loadstar.fish", "usr/share/doc/loadstar/copyright", "usr/share/doc/loadstar/examples/quickstart.lb",
		"usr/share/doc/loadstar/monitoring.md", "usr/share/doc/loadstar/monitoring/dashboard.json", "usr/share/doc/loadstar/monitoring/alerts.yaml",
	} {
		if info, err := os.Stat(filepath.Join(root, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	program := filepath.Join(root, "usr/bin/loadstar")
	if out, err := exec.Command(program, "check", "--config", filepath.Join(root, "etc/loadstar/Lbfile")).CombinedOutput(); err != nil {
		t.Errorf("its own configuration: %v\n%s", err, out)
	}
	for _, man := range []string{"man1/loadstar.1.gz", "man5/lbfile.5.gz"} {
		out, err := exec.Command("sh", "-c", "zcat \"$1\" | groff -man -Tutf8 -ww >/dev/null", "sh", filepath.Join(root, "usr/share/man", man)).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", man, err, out)
		}
	}
	for _, name := range []string{"postinst", "prerm", "postrm"} {
		if out, err := exec.Command("sh", "-n", filepath.Join(control, name)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	conffiles, _ := os.ReadFile(filepath.Join(control, "conffiles"))
	if strings.TrimSpace(string(conffiles)) != "/etc/loadstar/Lbfile" {
		t.Errorf("conffiles: %q", conffiles)
	}
	version, err := exec.Command("dpkg-deb", "-f", debs[0], "Version").Output()
	if err != nil || exec.Command("dpkg", "--validate-version", strings.TrimSpace(string(version))).Run() != nil {
		t.Errorf("version %q, %v", version, err)
	}
}
