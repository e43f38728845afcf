package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/loadstar-lb/loadstar/cmd/loadstar/internal/e2e"
)

// The units that the program prints are ones that systemd understands, and its own
// judge of sandboxes thinks well of the service.
func TestUnits(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("SKIP: systemd-analyze is not installed")
	}
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"loadstar.service": {"systemd", "--program", e2e.Binary(t), "--config", "/srv/Lbfile"}, "loadstar.socket": {"systemd", "--socket"},
	} {
		out, err := exec.Command(e2e.Binary(t), args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if name == "loadstar.service" && !bytes.Contains(out, []byte("ExecStart="+e2e.Binary(t)+" run --config /srv/Lbfile\n")) {
			t.Errorf("the program is not where it was told:\n%s", out)
		}
		if err := os.WriteFile(filepath.Join(dir, name), out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	service := filepath.Join(dir, "loadstar.service")
	out, _ := exec.Command("systemd-analyze", "--man=no", "verify", service, filepath.Join(dir, "loadstar.socket")).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		// systemd 253 is the first that knows it; 252 says so and goes on.
		if strings.Contains(line, dir) && !strings.Contains(line, "Failed to parse service type, ignoring: notify-reload") {
			t.Error(line)
		}
	}
	out, err := exec.Command("systemd-analyze", "--no-pager", "security", "--offline=true", service).CombinedOutput()
	level := regexp.MustCompile(`exposure level for loadstar.service: ([0-9.]+)`).FindSubmatch(out)
	if level == nil {
		t.Skipf("SKIP: systemd-analyze cannot judge a file: %v", err)
	}
	if string(level[1]) > "2.0" {
		t.Errorf("exposure level %s, which ought to be below 2:\n%s", level[1], out)
	}
	if out, err := exec.Command(e2e.Binary(t), "systemd", "--config", "/srv/a b").CombinedOutput(); err == nil {
		t.Errorf("a name with a blank is written into the unit:\n%s", out)
	}
}

// Every command stands in the manual, and shells can complete them.
func TestManualAndCompletion(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command(e2e.Binary(t), "man", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	page, err := os.ReadFile(filepath.Join(dir, "loadstar.1"))
	if err != nil {
		t.Fatal(err)
	}
	help, err := exec.Command(e2e.Binary(t), "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(help), "Available Commands:\n")
	rest, _, _ = strings.Cut(rest, "\n\n")
	n := 0
	for _, line := range strings.Split(rest, "\n") {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "help" || name == "" {
			continue
		}
		n++
		if !strings.Contains(string(page), "loadstar "+strings.ReplaceAll(name, "-", `\-`)) {
			t.Errorf("%s does not stand in the manual", name)
		}
	}
	if n < 8 {
		t.Errorf("only %d commands were found in\n%s", n, help)
	}
	if info, err := os.Stat(filepath.Join(dir, "lbfile.5")); err != nil || info.Size() < 10_000 {
		t.Errorf("lbfile.5: %v", err)
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, err := exec.Command(e2e.Binary(t), "completion", shell).Output()
		if err != nil || !strings.Contains(string(out), "loadstar") {
			t.Errorf("%s: %v", shell, err)
		}
	}
	out, err := exec.Command(e2e.Binary(t), "__complete", "up").Output()
	if err != nil || !strings.HasPrefix(string(out), "upgrade\t") {
		t.Errorf("completion of up: %v, %q", err, out)
	}
}

// The container file builds on nothing, as nobody, from files that there are.
func TestContainerfile(t *testing.T) {
	b, err := os.ReadFile("package/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	last := text[strings.LastIndex(text, "\nFROM "):]
	if !strings.HasPrefix(last, "\nFROM scratch\n") || !regexp.MustCompile(`\nUSER [1-9]\d*:[1-9]\d*\n`).MatchString(last) {
		t.Errorf("the image is not empty, or root's:\n%s", last)
	}
	known := regexp.MustCompile(`^(#|\t|FROM|ARG|WORKDIR|COPY|RUN|USER|VOLUME|ENV|STOPSIGNAL|ENTRYPOINT|CMD|$)`)
	for i, line := range strings.Split(text, "\n") {
		if !known.MatchString(line) {
			t.Errorf("line %d is no instruction: %s", i+1, line)
		}
	}
	for _, name := range regexp.MustCompile(`cmd/loadstar/package/\w+`).FindAllString(text, -1) {
		if _, err := os.Stat(filepath.Join("../..", name)); err != nil {
			t.Error(err)
		}
	}
	gomod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if v := regexp.MustCompile(`\ngo (\d+\.\d+)`).FindSubmatch(gomod); v == nil || !strings.Contains(text, "golang:"+string(v[1])+" ") {
		t.Errorf("the image's Go is not go.mod's %s", v)
	}
}

// A package whose program cannot take over, or is told to wait, leaves the running
// one alone: a restart in its place would be the outage that upgrades are there to avoid.
func TestPackageLeavesServiceAlone(t *testing.T) {
	script, err := os.ReadFile("package/postinstall.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, upgrade := range []string{"true", "false"} {
		dir := t.TempDir()
		log := filepath.Join(dir, "log")
		for name, then := range map[string]string{"getent": "true", "chgrp": "true", "systemctl": "true", "loadstar": upgrade} {
			stub := "#!/bin/sh\necho " + name + " \"$@\" >>" + log + "\n" + then + "\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(stub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("sh", "-c", strings.ReplaceAll(string(script), "/run/systemd/system", dir), "postinst", "configure", "1.0")
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		did, _ := os.ReadFile(log)
		if err != nil || !strings.Contains(string(did), "loadstar upgrade") || strings.Contains(string(did), "restart") || strings.Contains(string(did), "stop") {
			t.Errorf("upgrade is %s: %v %s\n%s", upgrade, err, out, did)
		}
		if told := strings.Contains(string(out), "goes on with the old program"); told != (upgrade == "false") {
			t.Errorf("upgrade is %s: %s", upgrade, out)
		}
	}
}
