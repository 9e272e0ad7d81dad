package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"elevate/bot"
	"elevate/bot/api"
	"elevate/bot/enrol"
	pages "elevate/bot/page"
	"elevate/bot/signin"
	"elevate/bot/teams"
	"elevate/bot/vouch"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/passkey"
)

// openFactors makes people's second factors, where the configuration has what they need.
func (a *app) openFactors() (err error) {
	if len(a.cfg.Secrets.Keys) == 0 || a.cfg.HTTP.PublicURL == "" {
		return nil
	}
	c := factor.Config{
		Store: knownFactors{a.store, a.unread.why}, Directory: a.people, Keys: a.cfg.Secrets.Keys, PageURL: a.cfg.HTTP.PublicURL + enrol.Path,
		KeyURL: a.cfg.HTTP.PublicURL + vouch.Path, Administrator: a.cfg.Administrator, Issuer: a.cfg.TOTP.Issuer, Strict: a.cfg.TOTP.Strict,
		Tell: bot.TellFactor(a.store, a.chats), Logger: a.log,
	}
	if passkey.CheckURL(a.cfg.HTTP.PublicURL) == nil {
		if c.Party, err = passkey.New(a.cfg.HTTP.PublicURL, a.cfg.TOTP.Issuer); err != nil {
			return fmt.Errorf("http.public_url: %w", err)
		}
	}
	if a.factors, err = factor.New(c); err != nil {
		return fmt.Errorf("second factors: %w", err)
	}
	a.runs = append(a.runs, a.onceRead(a.reseal))
	return nil
}

// signsIn has people sign in before they set up a factor, where there is a provider to do that at; nil: there is none, and
// an administrator vouches for them.
func (a *app) signsIn() func(http.ResponseWriter, *http.Request) (access.PersonID, bool) {
	if a.desk == nil {
		return nil
	}
	return func(w http.ResponseWriter, r *http.Request) (access.PersonID, bool) {
		sum := sha256.Sum256([]byte(r.URL.Path))
		purpose := "mfa:" + hex.EncodeToString(sum[:16]) // the path holds the link's token
		visit, err := a.desk.Visit(r, purpose)
		switch {
		case err == nil:
			return visit.Person, true
		case !errors.Is(err, signin.ErrNobody):
			a.log.Error("who signed in could not be looked up", "err", err)
			pages.NotNow(w, "Elevate cannot reach its store just now")
		default:
			a.sendToSignIn(w, r, purpose)
		}
		return "", false
	}
}

// sendToSignIn answers somebody with a link to set up a factor who has not signed in yet. A link that leads nowhere costs
// nothing.
func (a *app) sendToSignIn(w http.ResponseWriter, r *http.Request, purpose string) {
	token := access.NewSecret(strings.TrimPrefix(r.URL.Path, enrol.Path))
	whose, err := a.factors.Look(r.Context(), token, factor.Visit{})
	switch {
	case err != nil:
		pages.Write(w, http.StatusNotFound, pages.Page{Title: "This link leads nowhere", Tone: pages.Bad,
			Lead: "It was used already, it is older than ten minutes, or a newer one took its place. Type “" + a.command("") + " mfa” in your chat for a new one."})
	case r.Method == http.MethodPost:
		a.desk.Begin(w, r, signin.Errand{Purpose: purpose, Person: whose.ID, Back: r.URL.Path})
	default:
		pages.Write(w, http.StatusOK, pages.Page{Title: "Set up your second factor",
			Lead: "Sign in first, so that Elevate knows that it is you.",
			Form: &pages.Form{Action: r.URL.Path, Submit: "Sign in with " + a.cfg.OIDC.Name},
			Foot: "Did somebody send you this link? Then it is not for you: close the page. Elevate gives it to the one who typed “" + a.command("") + " mfa”, and to nobody else.",
		})
	}
}

// methods are the second factors that policies may ask for.
func (a *app) methods() map[access.Method]workflows.Factor {
	if a.factors == nil {
		return nil
	}
	methods := map[access.Method]workflows.Factor{access.TOTP: a.factors}
	if keys := a.factors.Keys(); keys != nil {
		methods[access.WebAuthn] = keys
	}
	return methods
}

// serveFactors adds the pages on which people set their second factors up, and use their security keys.
func (a *app) serveFactors(mux *http.ServeMux, programs *api.API) error {
	if a.factors == nil {
		return nil
	}
	c := enrol.Config{Factors: a.factors, SignIn: a.signsIn(), Command: a.command(""), Logger: a.log}
	if here := a.command(teams.Name); a.cfg.Teams != nil && here != c.Command {
		c.Teams = here
	}
	switch {
	case !a.factors.HasKeys():
	case a.cfg.AsksKey():
		c.Methods = []access.Method{access.WebAuthn, access.TOTP}
	default:
		c.Methods = []access.Method{access.TOTP, access.WebAuthn}
	}
	set, err := enrol.New(c)
	if err != nil {
		return err
	}
	used, err := vouch.New(vouch.Config{Act: a.factors.Act, Do: a.resume(programs), Person: a.people.Person, Logger: a.log})
	if err != nil {
		return err
	}
	mux.Handle(enrol.Path, set.Handler())
	mux.Handle(vouch.Path, used.Handler())
	return nil
}

// resume gives what waited for a security key back to where it was begun.
func (a *app) resume(programs *api.API) func(ctx context.Context, w factor.Waiting, proof access.Secret) bot.Outcome {
	return func(ctx context.Context, w factor.Waiting, proof access.Secret) bot.Outcome {
		if a.talk != nil && slices.Contains(a.chats, w.By.Via) {
			return a.talk.Resume(ctx, w.By, w.Errand, proof)
		}
		return programs.Resume(ctx, w.By, w.Errand, w.Act.Verb, proof)
	}
}

// reseal seals with the first key what others sealed. What goes wrong is tried again at the next start: the old keys open
// it until then.
func (a *app) reseal(ctx context.Context) error {
	left, err := a.factors.Reseal(ctx)
	switch {
	case err != nil:
		a.log.WarnContext(ctx, "second factors could not be sealed with the first key; that is tried at the next start", "err", err)
	case left > 0:
		a.log.WarnContext(ctx, "second factors need a key that is not configured; put it back, or reset them", "count", left)
	case len(a.cfg.Secrets.Keys) > 1:
		a.log.InfoContext(ctx, "the second factors of all whom the directory lists are sealed with the first of secrets.keys; leave the others in, for what they have marked, and for members of a people_group too large to list")
	}
	return nil
}
