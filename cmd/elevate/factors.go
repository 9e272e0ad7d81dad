package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"elevate/bot"
	"elevate/bot/enrol"
	pages "elevate/bot/page"
	"elevate/bot/signin"
	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// openFactors makes people's second factors, where the configuration has what they need.
func (a *app) openFactors() (err error) {
	if len(a.cfg.Secrets.Keys) == 0 || a.cfg.HTTP.PublicURL == "" {
		return nil
	}
	a.factors, err = factor.New(factor.Config{
		Store: a.store, Directory: a.people, Keys: a.cfg.Secrets.Keys, PageURL: a.cfg.HTTP.PublicURL + enrol.Path,
		Administrator: a.cfg.Administrator, Issuer: a.cfg.TOTP.Issuer, Strict: a.cfg.TOTP.Strict,
		Tell: bot.TellFactor(a.store, a.chats), Logger: a.log,
	})
	if err != nil {
		return fmt.Errorf("second factors: %w", err)
	}
	a.runs = append(a.runs, a.reseal)
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
			pages.Write(w, http.StatusServiceUnavailable, pages.Page{Title: "Not now", Tone: pages.Bad,
				Lead: "Elevate cannot reach its store just now, so nothing was done. Try again in a minute."})
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
			Lead: "It was used already, it is older than ten minutes, or a newer one took its place. Type “/elevate mfa” in your chat for a new one."})
	case r.Method == http.MethodPost:
		a.desk.Begin(w, r, signin.Errand{Purpose: purpose, Person: whose.ID, Back: r.URL.Path})
	default:
		pages.Write(w, http.StatusOK, pages.Page{Title: "Set up your second factor",
			Lead: "Sign in first, so that Elevate knows that it is you.",
			Form: &pages.Form{Action: r.URL.Path, Submit: "Sign in with " + a.cfg.OIDC.Name},
			Foot: "Did somebody send you this link? Then it is not for you: close the page. Elevate gives it to the one who typed “/elevate mfa”, and to nobody else.",
		})
	}
}

// methods are the second factors that policies may ask for.
func (a *app) methods() map[access.Method]workflows.Factor {
	if a.factors == nil {
		return nil
	}
	return map[access.Method]workflows.Factor{access.TOTP: a.factors}
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
		a.log.InfoContext(ctx, "every second factor is sealed with the first of secrets.keys; leave the others in, for what they have marked")
	}
	return nil
}
