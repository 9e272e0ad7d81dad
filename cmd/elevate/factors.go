package main

import (
	"context"
	"fmt"

	"elevate/bot"
	"elevate/bot/enrol"
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
		a.log.InfoContext(ctx, "every second factor is sealed with the first of secrets.keys; the others can be taken out")
	}
	return nil
}
