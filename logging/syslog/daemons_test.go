package syslog

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/loadstar-lb/loadstar/listener/flow"
	"github.com/loadstar-lb/loadstar/logging"
	"github.com/loadstar-lb/loadstar/logging/httplog"
)

// The daemons of Debian, configured as people do who read HAProxy's introductions:
// UDP, facility local0, a file. TCP stands beside it for octet counting. The file
// gets the priority's facility, the tag and the text.

const rsyslogConfig = `
global(workDirectory="%[1]s" maxMessageSize="64k")
module(load="imudp")
module(load="imtcp")
input(type="imudp" address="127.0.0.1" port="%[2]d" rcvbufSize="1m")
input(type="imtcp" address="127.0.0.1" port="%[3]d")
template(name="plain" type="string" string="%%syslogfacility-text%% %%programname%% %%msg:::drop-last-lf%%\n")
local0.* action(type="omfile" file="%[1]s/messages" template="plain")
`

const syslogNgConfig = `@version: 3.38
options { keep-hostname(yes); flush-lines(1); use-dns(no); };
source s_sys {
    udp(ip(127.0.0.1) port(%[2]d));
    syslog(ip(127.0.0.1) port(%[3]d) transport("tcp"));
};
filter f_filter9 { facility(local0); };
destination d_mesg { file("%[1]s/messages" template("${FACILITY} ${PROGRAM} ${MSG}\n")); };
log { source(s_sys); filter(f_filter9); destination(d_mesg); };
`

// ports gives one that is free on UDP, and one that is on TCP.
func ports(t *testing.T) (udp, tcp int) {
	t.Helper()
	u := packets(t, "udp", "127.0.0.1:0")
	l := listen(t, "tcp", "127.0.0.1:0")
	defer func() { _, _ = u.Close(), l.Close() }()
	return int(netip.MustParseAddrPort(u.LocalAddr().String()).Port()), int(netip.MustParseAddrPort(l.Addr().String()).Port())
}

// installed finds a daemon, on the path or where `make peers` unpacks it, and the
// directory of its modules.
func installed(t *testing.T, name string) (binary, modules string) {
	t.Helper()
	for _, root := range []string{"", "../../.bench/rsyslog"} {
		for _, dir := range []string{"/usr/sbin/", "/usr/local/sbin/"} {
			bin := root + dir + name
			if _, err := os.Stat(bin); err != nil {
				continue
			}
			found, _ := filepath.Glob(root + "/usr/lib/*/rsyslog")
			if len(found) > 0 {
				modules, _ = filepath.Abs(found[0])
			}
			return bin, modules
		}
	}
	t.Skipf("SKIPPED: no %s to send lines to; make peers installs it", name)
	return "", ""
}

func TestRealDaemons(t *testing.T) {
	for _, name := range []string{"rsyslogd", "syslog-ng"} {
		t.Run(name, func(t *testing.T) {
			bin, modules := installed(t, name)
			dir := t.TempDir()
			udp, tcp := ports(t)
			conf := filepath.Join(dir, "conf")
			text, args := rsyslogConfig, []string{"-n", "-f", conf, "-i", filepath.Join(dir, "pid"), "-M", modules}
			if name == "syslog-ng" {
				text, args = syslogNgConfig, []string{
					"-F", "--no-caps", "-f", conf, "-R", filepath.Join(dir, "persist"), "-p", filepath.Join(dir, "pid"), "-c", filepath.Join(dir, "ctl"),
				}
			}
			if err := os.WriteFile(conf, fmt.Appendf(nil, text, dir, udp, tcp), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(bin, args...)
			var printed strings.Builder
			cmd.Stdout, cmd.Stderr = &printed, &printed
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				if t.Failed() {
					t.Log(printed.String())
				}
			}()
			until(t, "the daemon", func() bool {
				c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", tcp))
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
			messages := filepath.Join(dir, "messages")
			send(t, fmt.Sprintf("udp://127.0.0.1:%d", udp), options{}, messages)
			if name == "rsyslogd" { // syslog-ng's udp() reads RFC 3164 alone
				send(t, fmt.Sprintf("udp://127.0.0.1:%d", udp), options{rfc5424: true}, messages)
			}
			send(t, fmt.Sprintf("tcp://127.0.0.1:%d", tcp), options{rfc5424: true}, messages)
		})
	}
}

// awkward is a record with what clients send to break logs.
func awkward(i int) *flow.Record {
	return &flow.Record{
		Start: time.Now(), Client: netip.MustParseAddrPort("192.0.2.7:40000"), Site: "web", Pool: "farm", Server: "s1",
		Method: "GET", URI: fmt.Appendf(nil, "/%d?a=\"\\\r\n<134>x\x00\xe9%%s{|}", i), Version: "HTTP/1.1", Status: 200, BodyOut: 5,
		ReqCaptures: [][]byte{[]byte("a|b}\n")},
	}
}

// grammars are the formats with what one line of each must be.
var grammars = map[string]*regexp.Regexp{
	"httplog":  regexp.MustCompile(`^192\.0\.2\.7:40000 \[[^]]{24}\] web farm/s1 (?:-?\d+/){4}\d+ 200 \d+ - - ---- (?:\d+/){4}\d+ \d+/\d+ \{a#7Cb#7D#0A\} "GET /\d+\?a=#22\\#0D#0A<134>x#00#E9%s\{\|\} HTTP/1\.1"$`),
	"combined": regexp.MustCompile(`^192\.0\.2\.7 - - \[[^]]{26}\] "GET /\d+\?a=\\"\\\\\\r\\n<134>x\\x00\\xe9%s\{\|\} HTTP/1\.1" 200 5 "-" "-"$`),
	"json":     regexp.MustCompile(`^\{.*"uri":"/\d+\?a=\\"\\\\\\u000d\\u000a<134>x\\u0000\\ufffd%s\{\|\}".*\}$`),
}

// send has lines of each format arrive in the daemon's file, and reads them back.
func send(t *testing.T, address string, o options, file string) {
	t.Helper()
	const n = 50
	before := 0
	if b, err := os.ReadFile(file); err == nil {
		before = strings.Count(string(b), "\n")
	}
	s := openWith(t, address, o)
	for _, m := range httplog.Modules() {
		if grammars[m.Name] == nil {
			continue
		}
		f := m.New(func(flow.Capture) int { return 0 })
		for i := range n {
			s.Record(logging.Info, f, awkward(i))
		}
	}
	var got []string
	until(t, "lines from "+address, func() bool {
		b, _ := os.ReadFile(file)
		got = strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")[before:]
		return strings.Count(string(b), "\n") >= before+len(grammars)*n
	})
	mustDeliverAll(t, s, len(grammars)*n)
	seen := map[string]int{}
	for _, line := range got {
		text, ok := strings.CutPrefix(line, "local0 loadstar ")
		if !ok {
			t.Fatalf("%s: %q", address, line)
		}
		text = strings.TrimPrefix(text, " ") // RFC 3164's blank after the colon is part of rsyslog's msg
		for name, grammar := range grammars {
			if !grammar.MatchString(text) {
				continue
			}
			seen[name]++
			if name == "json" && !json.Valid([]byte(text)) {
				t.Errorf("no JSON: %s", text)
			}
		}
	}
	for name := range grammars {
		if seen[name] != n {
			t.Errorf("%s: %d lines of %s can be read, of %d: %.900q", address, seen[name], name, n, got)
		}
	}
}
