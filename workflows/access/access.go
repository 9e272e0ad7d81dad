// Package access is the domain of Elevate: people, roles, requests, decisions and grants, the states a request goes
// through and the arrows between them. It knows no clock, no network and no storage; everything here is a value or a
// pure function, and it imports the standard library alone.
package access

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// PersonID names a person in the directory. Rules compare persons by this id, never by chat account or e-mail.
type PersonID string

// System is the actor of everything that nobody asked for: timers, sweeps, the policy's own approvals.
const System PersonID = "elevate"

// Kind tells people from programs.
type Kind string

// The kinds of person.
const (
	Human   Kind = "human"
	Service Kind = "service"
)

// Person is somebody known to the directory.
type Person struct {
	ID     PersonID `json:"id"`
	Name   string   `json:"name,omitempty"`
	Email  string   `json:"email,omitempty"`
	Kind   Kind     `json:"kind,omitempty"`
	Groups []string `json:"groups,omitempty"`
	// Accounts maps a connector's name to the person's account at its target; without an entry the account is the id.
	Accounts map[string]string `json:"accounts,omitempty"`
	// Manager is whom the person reports to, where a policy has asked for it; empty: nobody, or nobody asked.
	Manager PersonID `json:"-"`
}

// Account is the person's account name at the target behind a connector.
func (p Person) Account(connector string) string {
	if a := p.Accounts[connector]; a != "" {
		return a
	}
	return string(p.ID)
}

// DisplayName is the directory's name for the person, or the id where it has none.
func (p Person) DisplayName() string {
	if p.Name != "" {
		return p.Name
	}
	return string(p.ID)
}

// RoleID names an entry of the catalogue: lower-case ASCII, digits, '.', '_' and '-'.
type RoleID string

// Role is an entry of the catalogue: one privilege at one target, reached through a connector.
type Role struct {
	ID          RoleID            `json:"id"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Connector   string            `json:"connector"`
	Target      map[string]any    `json:"target,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
}

// DisplayTitle is the role's title, or its id where it has none.
func (r Role) DisplayTitle() string {
	if r.Title != "" {
		return r.Title
	}
	return string(r.ID)
}

// RequestID is short, unambiguous to read aloud and never reused; see NewID.
type RequestID string

// Actor is who did something, and from where.
type Actor struct {
	Person PersonID `json:"person"`
	// Via is the way in: slack, teams, web, api, command line, or elevate for the program itself.
	Via string `json:"via"`
	// Account is the account at that way in (a chat user id, a token's name).
	Account string `json:"account,omitempty"`
	// Address is the remote address, where there is one.
	Address string `json:"address,omitempty"`
}

// BySystem is the program itself as an actor.
func BySystem() Actor { return Actor{Person: System, Via: "elevate"} }

// Request is what somebody asked for. It never changes after submission.
type Request struct {
	ID            RequestID     `json:"id"`
	Requester     PersonID      `json:"requester"`
	Person        PersonID      `json:"person"` // who is to hold the role; the requester unless asked on behalf
	Role          Role          `json:"role"`   // the entry as it was at submission
	Duration      time.Duration `json:"duration"`
	Justification string        `json:"justification"`
	Ticket        string        `json:"ticket,omitempty"`
	Start         time.Time     `json:"start,omitzero"` // zero: as soon as it is approved
	SubmittedAt   time.Time     `json:"submitted_at"`
	By            Actor         `json:"by"`
	Policy        string        `json:"policy"`
	// Account is the beneficiary's account at the target as the directory had it at submission.
	Account string `json:"account"`
	Email   string `json:"email,omitempty"`
	// Stages are the approvals that the policy asked for at submission, in order; all must be met.
	Stages []Stage `json:"stages,omitempty"`
	// Auto is set where the policy approves by itself.
	Auto bool `json:"auto,omitempty"`
	// StepUp is what the policy asked for at submission. A policy that asks for less since then does not count.
	StepUp StepUp `json:"step_up,omitzero"`
	// Method is the second factor that vouched for the submission; empty: none was asked for.
	Method Method `json:"method,omitempty"`
	// Bundle is the request that this is a part of: it was approved there, begins and ends with it, and is proved by
	// itself. Empty: it stands alone.
	Bundle RequestID `json:"bundle,omitempty"`
	// Parts are what a bundle is made of, as it was at submission. Each becomes a grant of its own.
	Parts []Member `json:"parts,omitempty"`
}

// Member is one role of a bundle, and the request that it becomes.
type Member struct {
	ID      RequestID `json:"id"`
	Role    Role      `json:"role"`
	Account string    `json:"account"` // the beneficiary's at its target
}

// Stage is one step of an approval.
type Stage struct {
	By     string        `json:"by"`               // the policy's rule, as it was written at submission
	Count  int           `json:"count"`            // approvals needed
	Within time.Duration `json:"within,omitempty"` // time to decide, from the start of the stage
}

// Verdict is what a decision says.
type Verdict string

// The verdicts.
const (
	Approve Verdict = "approve"
	Deny    Verdict = "deny"
)

// Decision is an approver's word on a request.
type Decision struct {
	Verdict Verdict   `json:"verdict"`
	By      Actor     `json:"by"`
	At      time.Time `json:"at"`
	Stage   int       `json:"stage"`
	Reason  string    `json:"reason,omitempty"`
	// Method is the way the approver was authenticated for this very action: session, token, totp, webauthn, policy.
	Method string `json:"method"`
	// Act is the digest of what a second factor vouched for; empty where none was asked for.
	Act string `json:"act,omitempty"`
}

// Extension is one move of the end of a running grant.
type Extension struct {
	By   Actor     `json:"by"`
	At   time.Time `json:"at"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Method is the second factor that vouched for it; empty: none was asked for.
	Method Method `json:"method,omitempty"`
}

// Receipt is what a connector answered to an activation.
type Receipt struct {
	// Already tells that the access was there before and is none of ours: it will not be taken away.
	Already bool `json:"already"`
	// Ref is the target's own reference, kept for the deactivation.
	Ref string `json:"ref,omitempty"`
	// NativeEnd is when the target ends the access by itself, where it was told to.
	NativeEnd time.Time `json:"native_end,omitzero"`
}

// Was is what a deactivation found.
type Was string

// What a deactivation can find.
const (
	Removed  Was = "removed"  // it was there, and is gone
	Absent   Was = "absent"   // it was gone already
	Standing Was = "standing" // it was there before us and stays
	Shared   Was = "shared"   // another live grant holds the same right, so it stays until that one ends
)

// Removal is what a connector answered to a deactivation, read back from the target.
type Removal struct {
	Was           Was `json:"was"`
	SessionsEnded int `json:"sessions_ended,omitempty"`
	// Tail is how long the access may survive its removal (a token that lives on, a cache).
	Tail time.Duration `json:"tail,omitempty"`
}

// Grant is the time-bound right that comes of an approved request, as a connector sees it.
type Grant struct {
	ID     RequestID `json:"id"`
	Person Person    `json:"person"`
	Role   Role      `json:"role"`
	// End is when Elevate takes the access away. A native expiry is set a little after it.
	End time.Time `json:"end"`
	// Extensions is how often the end was moved. A target that ends access by itself is asked again after each.
	Extensions    int    `json:"extensions,omitempty"`
	Justification string `json:"justification,omitempty"`
	Ticket        string `json:"ticket,omitempty"`
}

// Right names what a grant makes true: this account, at this target, in this role. Two grants with the same Right
// overlap, whichever catalogue entries they came through.
func (r Request) Right() string {
	// json.Marshal sorts map keys, so equal targets give equal text.
	target, err := json.Marshal(r.Role.Target)
	if err != nil {
		target = []byte(r.Role.ID)
	}
	sum := sha256.Sum256(slices.Concat([]byte(r.Role.Connector), []byte{0}, target, []byte{0}, []byte(r.Account)))
	return hex.EncodeToString(sum[:12])
}
