package api

import (
	"strings"
	"time"

	"elevate/workflows/access"
)

// Duration is a time.Duration written as people write it: 1h30m rather than 1h30m0s.
type Duration time.Duration

// String writes the duration, readable by time.ParseDuration.
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MarshalText writes the duration.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads a Go duration.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// Request is a request as the API shows it. Times are null until what they tell of has happened.
type Request struct {
	ID      access.RequestID `json:"id"`
	State   access.State     `json:"state"`
	Overdue bool             `json:"overdue"`
	// Person is who is to hold the role; Requester asked for it.
	Person        access.PersonID `json:"person"`
	Requester     access.PersonID `json:"requester"`
	Role          access.RoleID   `json:"role"`
	RoleTitle     string          `json:"role_title"`
	Connector     string          `json:"connector"`
	Account       string          `json:"account"`
	Duration      Duration        `json:"duration"`
	Justification string          `json:"justification"`
	Ticket        *string         `json:"ticket"`
	Start         *time.Time      `json:"start"`
	Policy        string          `json:"policy"`

	SubmittedAt time.Time  `json:"submitted_at"`
	DecideBy    *time.Time `json:"decide_by"` // null once it is not pending any more
	ApprovedAt  *time.Time `json:"approved_at"`
	StartBy     *time.Time `json:"start_by"`
	ActivatedAt *time.Time `json:"activated_at"`
	EndsAt      *time.Time `json:"ends_at"`
	EndingAt    *time.Time `json:"ending_at"`
	EndedAt     *time.Time `json:"ended_at"`
	VerifiedAt  *time.Time `json:"verified_at"`

	// Stage counts from 1 and is the one being decided, or the last one decided.
	Stage      int         `json:"stage"`
	Stages     []Stage     `json:"stages"`
	Decisions  []Decision  `json:"decisions"`
	Extensions []Extension `json:"extensions"`
	Receipt    *Receipt    `json:"receipt"`
	Removal    *Removal    `json:"removal"`

	// Attempts, NextTry and LastError tell of an activation or deactivation that the target has not done yet.
	Attempts  int        `json:"attempts"`
	NextTry   *time.Time `json:"next_try"`
	LastError *string    `json:"last_error"`

	ClosedBy *Actor     `json:"closed_by"`
	ClosedAt *time.Time `json:"closed_at"`
	Reason   *string    `json:"reason"`
	Version  int64      `json:"version"`

	// Bundle is the request that this is a part of; Parts are those that this one is made of.
	Bundle *string `json:"bundle"`
	Parts  []Part  `json:"parts"`
}

// Part is a role of a bundle, and the request that it becomes once the bundle is being given.
type Part struct {
	ID        access.RequestID `json:"id"`
	Role      access.RoleID    `json:"role"`
	Connector string           `json:"connector"`
	Account   string           `json:"account"`
}

// Stage is an approval asked for.
type Stage struct {
	Count  int      `json:"count"`
	Within Duration `json:"within"`
}

// Actor is who did something and the way they came in.
type Actor struct {
	Person access.PersonID `json:"person"`
	Via    string          `json:"via"`
}

// Decision is an approver's word.
type Decision struct {
	Verdict access.Verdict `json:"verdict"`
	Actor
	At     time.Time `json:"at"`
	Stage  int       `json:"stage"` // counts from 1
	Reason *string   `json:"reason"`
	Method string    `json:"method"`
}

// Extension is one move of the end.
type Extension struct {
	Actor
	At   time.Time `json:"at"`
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Receipt is what the target answered to the activation.
type Receipt struct {
	Already   bool       `json:"already"` // the access was there before; it will not be taken away
	Ref       *string    `json:"ref"`
	NativeEnd *time.Time `json:"native_end"`
}

// Removal is what the target said when the access was taken away.
type Removal struct {
	Was           access.Was `json:"was"`
	SessionsEnded int        `json:"sessions_ended"`
	Tail          Duration   `json:"tail"`
}

// Page is one page of requests, newest first. Next is the cursor of the page after it; null on the last.
type Page struct {
	Requests []Request `json:"requests"`
	Next     *string   `json:"next"`
}

func pageOf(records []*access.Record, next string) Page {
	p := Page{Requests: make([]Request, len(records)), Next: text(next)}
	for i, r := range records {
		p.Requests[i] = requestOf(r)
	}
	return p
}

func requestOf(r *access.Record) Request {
	doc := Request{
		ID: r.ID, State: r.State, Overdue: r.Overdue,
		Person: r.Person, Requester: r.Requester,
		Role: r.Role.ID, RoleTitle: r.Role.DisplayTitle(), Connector: r.Role.Connector, Account: r.Account,
		Duration: Duration(r.Duration), Justification: r.Justification, Ticket: text(r.Ticket), Start: moment(r.Start),
		Policy: r.Policy, SubmittedAt: r.SubmittedAt.UTC(),
		ApprovedAt: moment(r.ApprovedAt), ActivatedAt: moment(r.ActivatedAt), EndsAt: moment(r.EndsAt),
		EndingAt: moment(r.EndingAt), EndedAt: moment(r.EndedAt), VerifiedAt: moment(r.VerifiedAt),
		Stages: make([]Stage, len(r.Stages)), Decisions: make([]Decision, len(r.Decisions)), Extensions: make([]Extension, len(r.Extensions)),
		Attempts: r.Attempts, NextTry: moment(r.NextTry), LastError: text(r.LastError),
		ClosedAt: moment(r.ClosedAt), Reason: text(r.Reason), Version: r.Version,
		Bundle: text(string(r.Bundle)), Parts: make([]Part, len(r.Parts)),
	}
	for i, m := range r.Parts {
		doc.Parts[i] = Part{ID: m.ID, Role: m.Role.ID, Connector: m.Role.Connector, Account: m.Account}
	}
	if r.State == access.Pending {
		doc.DecideBy = moment(r.DecideBy)
	}
	if r.State == access.Approved || r.State == access.Scheduled {
		doc.StartBy = moment(r.StartBy)
	}
	for i, s := range r.Stages {
		doc.Stages[i] = Stage{Count: s.Count, Within: Duration(s.Within)}
	}
	if len(r.Stages) > 0 {
		doc.Stage = min(r.Stage+1, len(r.Stages))
	}
	for i, d := range r.Decisions {
		doc.Decisions[i] = Decision{Verdict: d.Verdict, Actor: actorOf(d.By), At: d.At.UTC(), Stage: d.Stage + 1, Reason: text(d.Reason), Method: d.Method}
	}
	for i, e := range r.Extensions {
		doc.Extensions[i] = Extension{Actor: actorOf(e.By), At: e.At.UTC(), From: e.From.UTC(), To: e.To.UTC()}
	}
	doc.outcome(r)
	return doc
}

// outcome fills in what the target answered and who closed the request.
func (doc *Request) outcome(r *access.Record) {
	if r.Receipt != nil {
		doc.Receipt = &Receipt{Already: r.Receipt.Already, Ref: text(r.Receipt.Ref), NativeEnd: moment(r.Receipt.NativeEnd)}
	}
	if r.Removal != nil {
		doc.Removal = &Removal{Was: r.Removal.Was, SessionsEnded: r.Removal.SessionsEnded, Tail: Duration(r.Removal.Tail)}
	}
	if r.Closed != nil {
		by := actorOf(*r.Closed)
		doc.ClosedBy = &by
	}
}

func actorOf(a access.Actor) Actor { return Actor{Person: a.Person, Via: a.Via} }

// moment is a time in UTC; nil for what has not happened.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// text is nil for what nobody wrote.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
