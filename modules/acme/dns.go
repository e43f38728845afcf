package acme

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/libdns/libdns"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"
)

// hookTime bounds one call of a program or a webhook.
const hookTime = 2 * time.Minute

// What a hook is asked to do.
const (
	present = "present"
	cleanup = "cleanup"
)

// hook puts a TXT record in place, or takes it away. The calls are those of lego's
// `exec` and `httpreq` providers, for which many programs exist:
//
//	PROGRAM [ARG…] present _acme-challenge.example.com. VALUE
//	POST URL/present {"fqdn": "_acme-challenge.example.com.", "value": "VALUE"}
type hook func(ctx context.Context, action, fqdn, value string) error

// newHook gives the hook of settings.
func (d *DNS) newHook() hook {
	if d.URL != "" {
		return webhook(d.URL)
	}
	return program(d.Program)
}

func program(command []string) hook {
	return func(ctx context.Context, action, fqdn, value string) error {
		ctx, cancel := context.WithTimeout(ctx, hookTime)
		defer cancel()
		args := append(append([]string{}, command[1:]...), action, fqdn, value)
		c := exec.CommandContext(ctx, command[0], args...)
		c.WaitDelay = time.Second // for what the program has started and left behind
		out, err := c.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", command[0], action, err, excerpt(out))
		}
		return nil
	}
}

func webhook(url string) hook {
	client := &http.Client{Timeout: hookTime}
	return func(ctx context.Context, action, fqdn, value string) error {
		body, err := json.Marshal(map[string]string{"fqdn": fqdn, "value": value})
		if err != nil {
			return err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(url, "/")+"/"+action, bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		if answer.StatusCode/100 != 2 {
			return fmt.Errorf("%s/%s answered %s: %s", url, action, answer.Status, excerpt(text))
		}
		return nil
	}
}

// excerpt makes what somebody else wrote fit into a log line.
func excerpt(b []byte) string {
	s := strings.Join(strings.Fields(string(b)), " ")
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return s
}

// newSolver gives the solver of DNS-01 challenges.
func (d *DNS) newSolver(log *zap.Logger) acmez.Solver {
	if d.Wait < 0 {
		return &blind{hook: d.newHook(), delay: d.Delay}
	}
	return &certmagic.DNS01Solver{DNSManager: certmagic.DNSManager{
		DNSProvider: provider{d.newHook()}, PropagationDelay: d.Delay, PropagationTimeout: d.Wait,
		Resolvers: d.Resolvers, Logger: log,
	}}
}

// blind is a solver that does not look whether the record is there.
type blind struct {
	hook  hook
	delay time.Duration
}

// Present implements acmez.Solver.
func (s *blind) Present(ctx context.Context, ch acme.Challenge) error {
	return s.hook(ctx, present, ch.DNS01TXTRecordName()+".", ch.DNS01KeyAuthorization())
}

// Wait implements acmez.Waiter.
func (s *blind) Wait(ctx context.Context, _ acme.Challenge) error {
	if s.delay <= 0 {
		return nil
	}
	t := time.NewTimer(s.delay)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// CleanUp implements acmez.Solver.
func (s *blind) CleanUp(ctx context.Context, ch acme.Challenge) error {
	return s.hook(context.WithoutCancel(ctx), cleanup, ch.DNS01TXTRecordName()+".", ch.DNS01KeyAuthorization())
}

// provider shows a hook as certmagic's solver wants to see it.
type provider struct{ hook hook }

// AppendRecords implements libdns.RecordAppender.
func (p provider) AppendRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.each(ctx, present, zone, records)
}

// DeleteRecords implements libdns.RecordDeleter.
func (p provider) DeleteRecords(ctx context.Context, zone string, records []libdns.Record) ([]libdns.Record, error) {
	return p.each(context.WithoutCancel(ctx), cleanup, zone, records)
}

func (p provider) each(ctx context.Context, action, zone string, records []libdns.Record) ([]libdns.Record, error) {
	for i, r := range records {
		rr := r.RR()
		fqdn := strings.TrimSuffix(libdns.AbsoluteName(rr.Name, zone), ".") + "."
		if err := p.hook(ctx, action, fqdn, rr.Data); err != nil {
			return records[:i], err
		}
	}
	return records, nil
}
