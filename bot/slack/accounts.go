package slack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"elevate/bot"
)

const (
	// accountsKept is how long Slack's word on an account is believed.
	accountsKept = time.Minute
	// accountsMax bounds the memory; beyond it what is out of date is forgotten.
	accountsMax = 20_000
)

const (
	saysForeign     = "Elevate serves the members of its own workspace only. Ask a colleague there."
	saysGuest       = "Guests of this workspace cannot use Elevate. Ask a full member to make the request."
	saysGone        = "Your Slack account is deactivated, so Elevate does nothing for it."
	saysApp         = "Elevate takes no requests from apps and bots."
	saysUnreachable = "Slack could not tell Elevate who you are just now, so nothing was done. Try again in a minute."
)

// accounts knows which Slack accounts may speak to Elevate at all: members of the workspace, not its guests, not people
// of other organisations in shared channels, not apps. Which person an account is, the directory says; that comes later.
type accounts struct {
	team, enterprise string
	ask              func(ctx context.Context, user string) (*slack.User, error)
	now              func() time.Time

	mu     sync.Mutex
	known  map[string]verdict
	asking map[string]chan struct{} // closed when the running question is answered
}

type verdict struct {
	refusal string // empty: welcome
	until   time.Time
}

func newAccounts(cfg Config, ask func(context.Context, string) (*slack.User, error)) *accounts {
	return &accounts{
		team: cfg.TeamID, enterprise: cfg.EnterpriseID, ask: ask, now: cfg.Now,
		known: map[string]verdict{}, asking: map[string]chan struct{}{},
	}
}

// refusalCodes are the words of the audit log for the sentences above; without Slack's word there is nothing to record.
var refusalCodes = map[string]string{
	saysForeign: "foreign_account", saysGuest: "guest", saysGone: "deactivated_account", saysApp: "app_account",
}

// ours tells whether a payload belongs to the workspace, and the person who caused it with it.
func (a *accounts) ours(team, enterprise, userTeam string) bool {
	within := func(id string) bool { return id == a.team || (a.enterprise != "" && id == a.enterprise) }
	if team == "" { // an app installed on an organisation gets payloads that name no workspace
		team = enterprise
	}
	return within(team) && (userTeam == "" || within(userTeam) || (a.enterprise != "" && enterprise == a.enterprise))
}

// refusal gives the sentence for someone who may not speak to Elevate, or nothing. It waits for Slack's word on the
// account until ctx ends; without it the answer is no. start runs the question, which outlives the one who waits.
func (a *accounts) refusal(ctx context.Context, user string, start func(func(ctx context.Context)) bool) string {
	if user == "" {
		return saysForeign
	}
	a.mu.Lock()
	if v, ok := a.known[user]; ok && a.now().Before(v.until) {
		a.mu.Unlock()
		return v.refusal
	}
	answered, running := a.asking[user]
	if !running {
		answered = make(chan struct{})
		if !start(func(ctx context.Context) { a.learn(ctx, user, answered) }) {
			a.mu.Unlock()
			return saysUnreachable
		}
		a.asking[user] = answered
	}
	a.mu.Unlock()

	select {
	case <-answered:
	case <-ctx.Done():
		return saysUnreachable
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if v, ok := a.known[user]; ok && a.now().Before(v.until) {
		return v.refusal
	}
	return saysUnreachable
}

// learn asks Slack about an account and remembers the answer; an error is not remembered.
func (a *accounts) learn(ctx context.Context, user string, answered chan struct{}) {
	u, err := a.ask(ctx, user)
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asking, user)
	defer close(answered)
	var says string
	switch {
	case errors.Is(err, errStrangeAccount):
		says = saysForeign
	case err != nil:
		return
	default:
		says = a.judge(u)
	}
	if len(a.known) >= accountsMax {
		maps.DeleteFunc(a.known, func(_ string, v verdict) bool { return !a.now().Before(v.until) })
	}
	if len(a.known) < accountsMax {
		a.known[user] = verdict{says, a.now().Add(accountsKept)}
	}
}

func (a *accounts) judge(u *slack.User) string {
	switch {
	case u.IsStranger, !a.member(u):
		return saysForeign
	case u.Deleted:
		return saysGone
	case u.IsBot, u.ID == "USLACKBOT":
		return saysApp
	case u.IsRestricted, u.IsUltraRestricted:
		return saysGuest
	}
	return ""
}

func (a *accounts) member(u *slack.User) bool {
	return u.TeamID == a.team || (a.enterprise != "" && u.Enterprise.EnterpriseID == a.enterprise)
}

// errStrangeAccount says that Slack knows the account but not to us.
var errStrangeAccount = errors.New("the account is not visible to the app")

// userInfo asks Slack about an account.
func (s *Slack) userInfo(ctx context.Context, user string) (*slack.User, error) {
	u, err := s.api.GetUserInfoContext(ctx, user)
	if code := apiCode(err); code == "user_not_found" || code == "user_not_visible" {
		return nil, errStrangeAccount
	}
	if err == nil && u.ID != user {
		err = errors.New("the answer speaks of another account, or of none")
	}
	s.health.called(err)
	if err != nil {
		s.log.Warn("Slack did not describe an account", "op", "users.info", "account", user, "err", err)
		return nil, fmt.Errorf("users.info: %w", err)
	}
	return u, nil
}

// refusal is the sentence for someone who may not speak to Elevate, or nothing. Whoever is refused for what their
// account is, is put on record.
func (s *Slack) refusal(ctx context.Context, user string) string {
	says := s.accounts.refusal(ctx, user, s.tasks.After)
	if code := refusalCodes[says]; code != "" {
		s.cfg.TurnedAway(ctx, user, code)
	}
	return says
}

// foreign is the sentence for somebody of another workspace, who is put on record.
func (s *Slack) foreign(ctx context.Context, user string) string {
	s.cfg.TurnedAway(ctx, user, refusalCodes[saysForeign])
	return saysForeign
}

// who is an account as package bot sees it.
func who(user string) bot.Who { return bot.Who{Chat: Name, Account: user} }
