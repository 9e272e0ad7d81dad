package signin

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"elevate/workflows/access"
)

// bound is what a refresh token is sealed with: it opens for this person, as whom the provider calls them, alone.
func bound(p access.PersonID, id access.Identity) []string {
	return []string{string(p), id.Issuer, id.Subject}
}

// offline tells whether refresh tokens are asked for, and can be kept.
func (p *provider) offline() bool {
	return p.cfg.Box != nil && slices.Contains(p.cfg.Scopes, OfflineAccess)
}

// errRevoked says that the provider takes the refresh token no more: the person must sign in again.
var errRevoked = errors.New("the provider has withdrawn the sign-in")

// withdrawn are the answers by which a provider says so.
var withdrawn = []string{"invalid_grant", "interaction_required", "login_required", "consent_required"}

// refresh asks the provider who the person of a refresh token is now, and gives the token to ask with the next time. Where
// the answer does not hold, the next token is given with the error: the one before it may be worth nothing any more.
func (p *provider) refresh(ctx context.Context, token access.Secret, want access.Identity) (access.Identity, access.Secret, error) {
	d, err := p.discover(ctx)
	if err != nil {
		return access.Identity{}, token, err
	}
	ctx = oidc.ClientContext(ctx, p.http)
	answer, err := d.oauth.TokenSource(ctx, &oauth2.Token{RefreshToken: token.Reveal()}).Token()
	if err != nil {
		var said *oauth2.RetrieveError
		if errors.As(err, &said) && slices.Contains(withdrawn, said.ErrorCode) {
			return access.Identity{}, token, fmt.Errorf("%w: %s", errRevoked, said.ErrorCode)
		}
		return access.Identity{}, token, fmt.Errorf("use the refresh token: %w", unsaid(err))
	}
	next := access.NewSecret(answer.RefreshToken) // the same, where the provider gave no other
	id, err := p.now(ctx, d, answer, want)
	return id, next, err
}

// now reads who somebody is of the answer to a refresh: of the ID token, and of UserInfo where that says nothing of groups.
func (p *provider) now(ctx context.Context, d *discovered, answer *oauth2.Token, want access.Identity) (access.Identity, error) {
	raw, _ := answer.Extra("id_token").(string)
	if raw == "" { // OpenID Connect Core 12.2: there need not be one
		return p.asked(ctx, d, answer, want, "")
	}
	id, err := d.verifier.Verify(ctx, raw)
	if err != nil {
		return access.Identity{}, fmt.Errorf("%w: %w", errToken, err)
	}
	out, said, err := p.identity(id, 0)
	switch {
	case err != nil:
		return access.Identity{}, err
	case out.Issuer != want.Issuer || out.Subject != want.Subject:
		return access.Identity{}, fmt.Errorf("%w: it is somebody else's", errToken)
	case said || d.made.UserInfoEndpoint() == "":
		return out, nil
	}
	return p.asked(ctx, d, answer, want, id.Subject)
}

// asked asks UserInfo. Its answer must be the same person's: by sub, where an ID token has said it or people are named by
// it, and by the claim that names people.
func (p *provider) asked(ctx context.Context, d *discovered, answer *oauth2.Token, want access.Identity, sub string) (access.Identity, error) {
	info, err := d.made.UserInfo(ctx, oauth2.StaticTokenSource(answer))
	if err != nil {
		var unreached *url.Error
		if !errors.As(err, &unreached) { // there may be anything in it
			err = errRefused
		}
		return access.Identity{}, fmt.Errorf("ask UserInfo: %w", err)
	}
	var claims map[string]claim
	if err := info.Claims(&claims); err != nil {
		return access.Identity{}, fmt.Errorf("%w: UserInfo: %w", errToken, err)
	}
	subject, named := claims[p.cfg.SubjectClaim]
	switch {
	case sub != "" && info.Subject != sub,
		named && subject.text() != want.Subject,
		!named && sub == "":
		return access.Identity{}, fmt.Errorf("%w: UserInfo is somebody else's", errToken)
	}
	out := access.Identity{Issuer: want.Issuer, Subject: want.Subject, At: p.cfg.Now().UTC()}
	out.Groups, out.Overage, _ = p.groups(claims)
	return out, nil
}
