package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3/acme"
)

// kept is an account in storage.
type kept struct {
	Account acme.Account `json:"account"`
	Key     string       `json:"private_key"` // PEM
}

// accountKey says where the account is stored.
func (i *issuer) accountKey() string {
	name := i.email
	if name == "" {
		name = "default"
	}
	return path.Join("accounts", i.IssuerKey(), certmagic.StorageKeys.Safe(name)+".json")
}

// account gives the account with the authority, registering it if there is none
// yet. Of several who need one at a time, on whatever node, one registers.
func (i *issuer) account(ctx context.Context) (acme.Account, error) {
	if a, err := i.loadAccount(ctx); err == nil || !missing(err) {
		return a, err
	}
	unlock, err := i.store.Lock(ctx, "account_"+i.IssuerKey()+"_"+i.email)
	if err != nil {
		return acme.Account{}, err
	}
	defer func() { _ = unlock() }()
	if a, err := i.loadAccount(ctx); err == nil || !missing(err) {
		return a, err
	}
	return i.register(ctx)
}

func (i *issuer) loadAccount(ctx context.Context) (acme.Account, error) {
	b, err := i.store.Load(ctx, i.accountKey())
	if err != nil {
		return acme.Account{}, err
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return acme.Account{}, fmt.Errorf("%s: %w", i.accountKey(), err)
	}
	key, err := certmagic.PEMDecodePrivateKey([]byte(k.Key))
	if err != nil {
		return acme.Account{}, fmt.Errorf("%s: %w", i.accountKey(), err)
	}
	k.Account.PrivateKey = key
	return k.Account, nil
}

// register makes an account (RFC 8555 §7.3). To write an automatic site is to agree
// to the terms, as documented with the word.
func (i *issuer) register(ctx context.Context) (acme.Account, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return acme.Account{}, err
	}
	a := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if i.email != "" {
		a.Contact = []string{"mailto:" + i.email}
	}
	if i.ca.KeyID != "" {
		eab := acme.EAB{KeyID: i.ca.KeyID, MACKey: i.ca.MAC}
		if err := a.SetExternalAccountBinding(ctx, i.client.Client, eab); err != nil {
			return a, fmt.Errorf("external account binding: %w", err)
		}
	}
	a, err = i.client.NewAccount(ctx, a)
	if err != nil {
		return a, fmt.Errorf("registering an account: %w", err)
	}
	i.log.Info("ACME account registered", "ca", i.ca.URL, "account", a.Location)
	return a, i.saveAccount(ctx, a, key)
}

func (i *issuer) saveAccount(ctx context.Context, a acme.Account, key crypto.PrivateKey) error {
	pem, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(kept{Account: a, Key: string(pem)}, "", "\t")
	if err != nil {
		return err
	}
	return i.store.Store(ctx, i.accountKey(), b)
}

// forgotten reports that the authority does not know the account any more, as
// after it was set up anew.
func forgotten(err error) bool {
	var p acme.Problem
	return errors.As(err, &p) && p.Type == acme.ProblemTypeAccountDoesNotExist
}
