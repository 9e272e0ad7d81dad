package signin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
	"elevate/workflows/seal"
)

const (
	// claimsFresh is the longest that the provider's word on somebody's groups is believed.
	claimsFresh = time.Minute
	// askLease is for how long a replica that asks keeps the others from asking for the same person: longer than it may take.
	askLease = time.Minute
	// askedFor bounds one question, from the refresh token to its successor in the store, and as much the wait for the turn.
	askedFor = 40 * time.Second
	// waitFor is how long somebody who clicked waits for the answer. What it brings is kept for their next click.
	waitFor = 5 * time.Second
	// lookEvery is how often a replica looks whether another has the answer.
	lookEvery = 100 * time.Millisecond
)

// Withdrawn is why a link is suspended whose refresh token the provider takes no more.
const Withdrawn = "the identity provider has withdrawn its sign-in"

// TokenStore keeps the refresh tokens of links, and what was answered to them last.
type TokenStore interface {
	Token(ctx context.Context, chat, account string) (*access.Token, error)
	Tokens(ctx context.Context) ([]access.Token, error)
	// SwapToken puts a token in the place of the one whose Sealed is was: false where there is another by now, or none.
	SwapToken(ctx context.Context, was string, t access.Token) (bool, error)
	Hold(ctx context.Context, name, holder string, lease time.Duration) (bool, error)
	Drop(ctx context.Context, name, holder string) error
}

// ClaimsConfig is what Claims are made of.
type ClaimsConfig struct {
	Config            // the provider's part; with Box. Store and Directory are not needed.
	Tokens TokenStore // required
	// Suspend makes a link count for nothing, and tells people. Required.
	Suspend func(ctx context.Context, l access.Link, why string) error
	// Holder names this replica among those on the store. Required.
	Holder string
}

// Claims asks the provider which groups people are in now, by the refresh tokens that came with their sign-ins. A token that
// was used may be worth nothing afterwards, and using it twice may take all away from the person: one question is asked at
// a time for each link, over all replicas, and goes on where nobody waits for it any more. It is safe for concurrent use.
type Claims struct {
	cfg      ClaimsConfig
	log      *slog.Logger
	provider *provider

	mu     sync.Mutex
	asking map[string]*asking
	all    sync.WaitGroup
}

type asking struct {
	done  chan struct{} // closed when the others are there
	token *access.Token
	err   error
}

// NewClaims checks the configuration and makes Claims. It asks nobody.
func NewClaims(cfg ClaimsConfig) (*Claims, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.Box == nil || cfg.Tokens == nil || cfg.Suspend == nil || cfg.Holder == "" {
		return nil, errors.New("signin: claims need a Box, Tokens, Suspend and a Holder")
	}
	return &Claims{cfg: cfg, log: cfg.Logger, provider: newProvider(cfg.Config), asking: map[string]*asking{}}, nil
}

// Close waits for the questions that are under way: their answers hold the only token for the next.
func (c *Claims) Close() {
	c.all.Wait()
	c.provider.http.CloseIdleConnections()
}

// Groups gives the groups that the person of a link is in now, or was in a minute ago at most. Overage says that these are
// not all. A refusal says what can be done.
func (c *Claims) Groups(ctx context.Context, l access.Link) (groups []string, overage bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	t, err := c.cfg.Tokens.Token(ctx, l.Chat, l.Account)
	if err == nil && !c.fresh(t) {
		t, err = c.ask(ctx, l)
	}
	var refused *access.Refusal
	switch {
	case errors.As(err, &refused):
		return nil, false, err
	case errors.Is(err, workflows.ErrForged), errors.Is(err, seal.ErrSealed): // it opens again where its key is put back
		c.log.ErrorContext(ctx, "a refresh token cannot be read; put its key back among secrets.keys, or have the person type /elevate link",
			"person", l.Person, "chat", l.Chat, "account", l.Account, "err", err)
		return nil, false, &access.Refusal{Kind: access.ErrUnavailable, Code: "claims_unreadable", Err: err, Text: fmt.Sprintf(
			"What Elevate asks the identity provider by for the groups of %s cannot be read, so nothing was done. %s can type `/elevate link` and sign in again.", l.Person, l.Person)}
	case err != nil:
		return nil, false, &access.Refusal{Kind: access.ErrUnavailable, Code: "claims_unavailable", Err: err,
			Text: fmt.Sprintf("The identity provider could not be asked for the groups of %s, so nothing was done. Try again in a minute.", l.Person)}
	}
	return t.Groups, t.Overage, nil
}

// Last gives what the provider said last for each link, by "chat account", however long ago that is.
func (c *Claims) Last(ctx context.Context) (map[string]access.Token, error) {
	all, err := c.cfg.Tokens.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string]access.Token{}
	for _, t := range all {
		by[t.Chat+" "+t.Account] = t
	}
	return by, nil
}

// fresh tells whether an answer still counts. One of the future does not: clocks differ by less.
func (c *Claims) fresh(t *access.Token) bool {
	if t == nil || t.At.IsZero() {
		return false
	}
	age := c.cfg.Now().Sub(t.At)
	return age < claimsFresh && age > -ahead
}

// ask has the question for a link asked once, however many wait for it here.
func (c *Claims) ask(ctx context.Context, l access.Link) (*access.Token, error) {
	key := l.Chat + " " + l.Account
	c.mu.Lock()
	a, running := c.asking[key]
	if !running {
		a = &asking{done: make(chan struct{})}
		c.asking[key] = a
		c.all.Go(func() {
			// Whoever waits may hang up: what the provider answers must be kept all the same.
			alone, cancel := context.WithTimeout(context.WithoutCancel(ctx), askedFor)
			defer cancel()
			a.token, a.err = c.inTurn(alone, l)
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.asking, key)
			close(a.done)
		})
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.token, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the identity provider: %w", ctx.Err())
	}
}

// inTurn waits until no other replica asks for the link, and asks, unless one has the answer by then.
func (c *Claims) inTurn(ctx context.Context, l access.Link) (*access.Token, error) {
	name := turn(l)
	for {
		held, err := c.cfg.Tokens.Hold(ctx, name, c.cfg.Holder, askLease)
		if err != nil {
			return nil, err
		}
		if held {
			return c.turned(ctx, l, name)
		}
		t, err := c.cfg.Tokens.Token(ctx, l.Chat, l.Account)
		if err != nil || c.fresh(t) {
			return t, err
		}
		wait := time.NewTimer(lookEvery)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return nil, fmt.Errorf("wait for another replica: %w", ctx.Err())
		}
	}
}

// turned asks in the turn that is held, and gives it up. However long that was waited for, there is all the time to ask: the
// answer that is cut off holds the only token for the next question.
func (c *Claims) turned(ctx context.Context, l access.Link, name string) (*access.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askedFor)
	defer cancel()
	defer func() {
		if err := c.cfg.Tokens.Drop(ctx, name, c.cfg.Holder); err != nil { // it ends by itself
			c.log.Warn("the turn to ask the identity provider could not be given up", "turn", name, "err", err)
		}
	}()
	t, err := c.cfg.Tokens.Token(ctx, l.Chat, l.Account) // no other changes it now
	if err != nil || c.fresh(t) {
		return t, err
	}
	return c.use(ctx, l, t)
}

// use asks the provider with a token, and keeps the next one and the answer.
func (c *Claims) use(ctx context.Context, l access.Link, t *access.Token) (*access.Token, error) {
	if t == nil {
		return nil, c.suspend(ctx, l, "what Elevate asked the identity provider by is gone")
	}
	whose := bound(l.Person, *l.Identity)
	token, err := c.open(l, t)
	if err != nil {
		return nil, err
	}
	id, next, err := c.provider.refresh(ctx, token, *l.Identity)
	if errors.Is(err, errRevoked) {
		return nil, c.revoked(ctx, l, *t)
	}
	kept := *t
	if next.Reveal() != token.Reveal() {
		kept.Sealed = c.cfg.Box.Seal(next, whose...)
	}
	if err == nil {
		kept.Groups, kept.Overage, kept.At = id.Groups, id.Overage, id.At
	}
	if kept.Sealed == t.Sealed && err != nil {
		return nil, err
	}
	if keepErr := c.keep(ctx, t.Sealed, kept); keepErr != nil {
		return nil, errors.Join(err, keepErr)
	}
	return &kept, err
}

// keep stores a token, and goes on trying: without it the person would have to sign in again.
func (c *Claims) keep(ctx context.Context, was string, t access.Token) error {
	for {
		kept, err := c.cfg.Tokens.SwapToken(ctx, was, t)
		switch {
		case err == nil && kept:
			return nil
		case err == nil:
			return errors.New("the link was changed meanwhile")
		}
		wait := time.NewTimer(time.Second)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return fmt.Errorf("keep the next refresh token: %w", err)
		}
	}
}

// revoked suspends a link whose token is taken no more, unless the person has signed in again meanwhile.
func (c *Claims) revoked(ctx context.Context, l access.Link, t access.Token) error {
	now, err := c.cfg.Tokens.Token(ctx, l.Chat, l.Account)
	if err != nil {
		return err
	}
	if now != nil && now.Sealed != t.Sealed {
		return errors.New("the person has signed in again meanwhile")
	}
	return c.suspend(ctx, l, Withdrawn)
}

func (c *Claims) suspend(ctx context.Context, l access.Link, why string) error {
	if err := c.cfg.Suspend(ctx, l, why); err != nil {
		return err
	}
	c.log.WarnContext(ctx, "a link was suspended", "person", l.Person, "chat", l.Chat, "account", l.Account, "why", why)
	return &access.Refusal{Kind: access.ErrUnavailable, Code: "link_suspended", Text: fmt.Sprintf(
		"The link of %s counts for nothing any more, because %s. Nothing was done. %s can type `/elevate link` and sign in again.", l.Person, why, l.Person)}
}

// Reseal seals anew, with the first key, every token that another key sealed. left is how many still need an older key.
func (c *Claims) Reseal(ctx context.Context, links []access.Link) (left int, err error) {
	for _, l := range links {
		if l.Identity == nil || !l.Identity.Offline {
			continue
		}
		done, err := c.reseal(ctx, l)
		if err != nil {
			return left, fmt.Errorf("seal the token of %s anew: %w", l.Person, err)
		}
		if !done {
			left++
		}
	}
	return left, nil
}

// reseal takes the turn of whoever asks: a token that is replaced under a question would lose its successor.
func (c *Claims) reseal(ctx context.Context, l access.Link) (done bool, err error) {
	name, holder := turn(l), c.cfg.Holder+"/reseal"
	held, err := c.cfg.Tokens.Hold(ctx, name, holder, askLease)
	if err != nil || !held {
		return false, err
	}
	defer func() { err = errors.Join(err, c.cfg.Tokens.Drop(ctx, name, holder)) }()
	t, err := c.cfg.Tokens.Token(ctx, l.Chat, l.Account)
	if err != nil || t == nil || c.cfg.Box.Current(t.Sealed) {
		return true, err
	}
	token, err := c.open(l, t)
	if err != nil {
		c.log.ErrorContext(ctx, "a refresh token cannot be sealed anew; put its key back among secrets.keys, or have the person type /elevate link", "person", l.Person, "err", err)
		return false, nil
	}
	was := t.Sealed
	t.Sealed = c.cfg.Box.Seal(token, bound(l.Person, *l.Identity)...)
	return c.cfg.Tokens.SwapToken(ctx, was, *t)
}

// open gives the token itself.
func (c *Claims) open(l access.Link, t *access.Token) (access.Secret, error) {
	token, err := c.cfg.Box.Open(t.Sealed, bound(l.Person, *l.Identity)...)
	if err != nil {
		return token, fmt.Errorf("open the refresh token of %s: %w", l.Person, err)
	}
	return token, nil
}

func turn(l access.Link) string { return "claims:" + l.Chat + ":" + l.Account }
