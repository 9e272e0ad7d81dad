package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"elevate/connectors"
	"elevate/workflows/access"
)

// grantBody is what activate and deactivate send.
type grantBody struct {
	Grant  access.RequestID `json:"grant"`
	Person personBody       `json:"person"`
	roleBody
	EndsAt time.Time `json:"ends_at,omitzero"`
}

type personBody struct {
	ID      access.PersonID `json:"id"`
	Email   string          `json:"email"`
	Account string          `json:"account"`
}

// roleBody is what holders sends.
type roleBody struct {
	Role   access.RoleID  `json:"role"`
	Target map[string]any `json:"target"`
}

func ofRole(r access.Role) roleBody {
	if r.Target == nil {
		r.Target = map[string]any{}
	}
	return roleBody{r.ID, r.Target}
}

func ofGrant(g access.Grant) (grantBody, error) {
	account, err := connectors.Account(g)
	return grantBody{Grant: g.ID, Person: personBody{g.Person.ID, g.Person.Email, account}, roleBody: ofRole(g.Role), EndsAt: g.End.UTC()}, err
}

// Activate asks the target to give the role. Whether the person had it before is the target's word.
func (c *Connector) Activate(ctx context.Context, g access.Grant) (access.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	body, err := ofGrant(g)
	if err != nil {
		return access.Receipt{}, err
	}
	var out struct {
		Already *bool     `json:"already"`
		Ref     string    `json:"ref"`
		EndsAt  time.Time `json:"ends_at"`
	}
	m := forGrant(string(g.ID), "activate", body)
	if g.Extensions > 0 {
		m.key = fmt.Sprintf("%s:%d", m.key, g.Extensions) // the first answer must not be given again
	}
	if err := c.send(ctx, m, strictly(&out)); err != nil {
		return access.Receipt{}, err
	}
	if out.Already == nil {
		return access.Receipt{}, unknown("activate", errors.New(`the answer lacks "already", true or false`))
	}
	return access.Receipt{Already: *out.Already, Ref: out.Ref, NativeEnd: out.EndsAt}, nil
}

// Deactivate asks the target to take the role away, and compares its word with its own list of holders, where it keeps
// one. What was there before is not asked to be taken away at all.
func (c *Connector) Deactivate(ctx context.Context, g access.Grant, r access.Receipt) (access.Removal, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	body, err := ofGrant(g)
	if err != nil {
		return access.Removal{}, err
	}
	if r.Already {
		seen, err := c.see(ctx, g, body)
		if err != nil {
			return access.Removal{}, err
		}
		if seen.ours == "" {
			return access.Removal{Was: seen.standing(access.Absent)}, nil
		}
	}
	removal, err := c.remove(ctx, g, body)
	if err != nil {
		return access.Removal{}, err
	}
	seen, err := c.see(ctx, g, body)
	if err != nil {
		return access.Removal{}, err
	}
	removal.Was, err = seen.confirm(removal.Was, body.Person)
	return removal, err
}

// remove sends deactivate and checks the answer's form.
func (c *Connector) remove(ctx context.Context, g access.Grant, body grantBody) (access.Removal, error) {
	var out struct {
		Was           access.Was `json:"was"`
		SessionsEnded int        `json:"sessions_ended"`
	}
	if err := c.send(ctx, forGrant(string(g.ID), "deactivate", body), strictly(&out)); err != nil {
		return access.Removal{}, err
	}
	switch out.Was {
	case access.Removed, access.Absent, access.Standing:
	default:
		return access.Removal{}, unknown("deactivate", fmt.Errorf(`the answer's "was" is %q; the protocol knows removed, absent and standing`, out.Was))
	}
	if out.SessionsEnded < 0 {
		return access.Removal{}, unknown("deactivate", errors.New(`the answer's "sessions_ended" is negative`))
	}
	return access.Removal{Was: out.Was, SessionsEnded: out.SessionsEnded, Tail: c.caps.Tail}, nil
}

// sight is what the target's list of holders says of one person.
type sight struct {
	listed bool             // the target keeps a list
	ours   access.RequestID // the grant by which it lists the person; empty: none
	plain  bool             // it lists the person without a grant
}

// standing is how the access of a person stands whom nothing of ours gives it; otherwise is for one who is not listed.
func (s sight) standing(otherwise access.Was) access.Was {
	if s.plain || !s.listed {
		return access.Standing
	}
	return otherwise
}

// confirm compares what deactivate answered with the list.
func (s sight) confirm(was access.Was, p personBody) (access.Was, error) {
	switch {
	case !s.listed:
		return was, nil
	case s.ours != "":
		return "", unknown("read back", fmt.Errorf("the target answered %q, but lists %s with grant %s still", was, p.Account, s.ours))
	case was == access.Removed && s.plain:
		// It was taken away, or it was not. Where it is standing, the next try is answered with absent or standing.
		return "", unknown("read back", fmt.Errorf("the target answered %q, but lists %s still", was, p.Account))
	case s.plain:
		return access.Standing, nil
	case was == access.Standing:
		return access.Absent, nil
	}
	return was, nil
}

// see looks a person up in the target's list of holders. A target without that list answers 404, 405 or 501.
func (c *Connector) see(ctx context.Context, g access.Grant, body grantBody) (sight, error) {
	holders, err := c.holders(ctx, g.Role)
	if noList(err) {
		return sight{}, nil
	}
	if err != nil {
		return sight{}, unknown("read back", err)
	}
	s := sight{listed: true}
	for _, h := range holders {
		switch {
		case !h.is(body.Person):
		case h.Grant != "":
			s.ours = h.Grant
		default:
			s.plain = true
		}
	}
	return s, nil
}

// noList tells whether a target answered that it keeps no list of holders.
func noList(err error) bool {
	var e *statusError
	return errors.As(err, &e) &&
		(e.status == http.StatusNotFound || e.status == http.StatusMethodNotAllowed || e.status == http.StatusNotImplemented)
}

// holder is an entry of the target's list.
type holder struct {
	Person  access.PersonID  `json:"person"`
	Account string           `json:"account"`
	Grant   access.RequestID `json:"grant"`
}

func (h holder) is(p personBody) bool {
	return h.Person != "" && h.Person == p.ID || h.Account != "" && h.Account == p.Account
}

func (c *Connector) holders(ctx context.Context, role access.Role) ([]holder, error) {
	var out struct {
		Holders *[]holder `json:"holders"`
	}
	if err := c.send(ctx, asking("holders", ofRole(role), longAnswer), strictly(&out)); err != nil {
		return nil, err
	}
	if out.Holders == nil {
		return nil, unknown("holders", errors.New(`the answer lacks "holders", a list that may be empty`))
	}
	for i, h := range *out.Holders {
		if h.Person == "" && h.Account == "" {
			return nil, unknown("holders", fmt.Errorf(`holders[%d] has neither "person" nor "account"`, i))
		}
	}
	return *out.Holders, nil
}

// Holders asks the target who holds the role. What comes with a grant is ours.
func (c *Connector) Holders(ctx context.Context, role access.Role) ([]connectors.Holder, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	list, err := c.holders(ctx, role)
	if err != nil {
		return nil, err
	}
	out := make([]connectors.Holder, len(list))
	for i, h := range list {
		out[i] = connectors.Holder{Account: h.Account, Person: h.Person, Grant: h.Grant, Ours: h.Grant != ""}
	}
	return out, nil
}

// Check asks the target whether it knows us and has what it needs.
func (c *Connector) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var out struct {
		Missing []string `json:"missing"`
	}
	read := func(text []byte) error {
		_ = json.Unmarshal(text, &out) // a target that is well may say so in any words
		return nil
	}
	if err := c.send(ctx, asking("check", struct{}{}, smallAnswer), read); err != nil {
		return err
	}
	if len(out.Missing) > 0 {
		return &connectors.Error{Kind: connectors.Denied, Op: "check", Err: fmt.Errorf("the target lacks: %s", strings.Join(out.Missing, "; "))}
	}
	return nil
}
