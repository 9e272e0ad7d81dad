package access

import "time"

// Schema is the version of Record's stored form that this program writes. It reads every earlier one.
const Schema = 1

// Record is a request with all that became of it: the one document the store keeps per request. Only arrows change it.
type Record struct {
	Schema  int `json:"schema"`
	Request `json:"request"`

	State   State `json:"state"`
	Version int64 `json:"version"` // counts the arrows taken, from 1

	// While pending.
	Stage     int        `json:"stage,omitempty"` // index into Stages of the stage being decided
	Decisions []Decision `json:"decisions,omitempty"`
	DecideBy  time.Time  `json:"decide_by,omitzero"` // lapses then
	RemindAt  time.Time  `json:"remind_at,omitzero"` // approvers are reminded then; zero: no more

	// Once approved.
	ApprovedAt time.Time `json:"approved_at,omitzero"`
	StartBy    time.Time `json:"start_by,omitzero"` // lapses when not started by then

	// Once armed. EndsAt is stored before the connector is called.
	ActivatedAt time.Time   `json:"activated_at,omitzero"`
	EndsAt      time.Time   `json:"ends_at,omitzero"`
	NoticeAt    time.Time   `json:"notice_at,omitzero"` // the holder is told that the end is near; zero: no more
	Extensions  []Extension `json:"extensions,omitempty"`
	Receipt     *Receipt    `json:"receipt,omitempty"`

	// Once ending.
	EndingAt   time.Time `json:"ending_at,omitzero"`  // when the deactivation became due
	OverdueAt  time.Time `json:"overdue_at,omitzero"` // told of then, again and again in growing steps; set while it is running
	Overdue    bool      `json:"overdue,omitempty"`
	EndedAt    time.Time `json:"ended_at,omitzero"`    // confirmed gone
	VerifiedAt time.Time `json:"verified_at,omitzero"` // read back from the target
	Removal    *Removal  `json:"removal,omitempty"`

	// Work on the target: attempts of the running activation or deactivation. An active grant has some where its target
	// ends access by itself and must be told of a later end.
	Attempts  int       `json:"attempts,omitempty"`
	NextTry   time.Time `json:"next_try,omitzero"`
	LastError string    `json:"last_error,omitempty"`

	// Closed says who brought the request to its last turn (denied, cancelled, lapsed, failed, ending), and why.
	Closed   *Actor    `json:"closed,omitempty"`
	ClosedAt time.Time `json:"closed_at,omitzero"`
	Reason   string    `json:"reason,omitempty"`
}

// Timer names a thing that becomes due for a request.
type Timer string

// The timers. Auto to Overdue call nobody; the others call the connector, and wait in its lanes.
const (
	TimerAuto       Timer = "auto"       // the policy approves by itself
	TimerRemind     Timer = "remind"     // approvers are reminded
	TimerLapse      Timer = "lapse"      // nobody decided, or nobody started, in time
	TimerStart      Timer = "start"      // an approved request starts, or waits for its hour
	TimerNotice     Timer = "notice"     // the end is near
	TimerOverdue    Timer = "overdue"    // a deactivation is not confirmed in time
	TimerEnd        Timer = "end"        // the grant's end
	TimerActivate   Timer = "activate"   // call the connector: give, or give for longer
	TimerDeactivate Timer = "deactivate" // call the connector: take away
)

// Timers lists every timer.
func Timers() []Timer {
	return []Timer{TimerAuto, TimerRemind, TimerLapse, TimerStart, TimerNotice, TimerOverdue, TimerEnd, TimerActivate, TimerDeactivate}
}

// Due derives the timers of a record from its state alone, so that what is armed can never differ from what is
// written. A timer that is not in the map is not armed. Every state that is not terminal has at least one.
func (r *Record) Due() map[Timer]time.Time {
	due := map[Timer]time.Time{}
	set := func(t Timer, at time.Time) {
		if !at.IsZero() {
			due[t] = at
		}
	}
	switch r.State {
	case Pending:
		set(TimerLapse, r.DecideBy)
		set(TimerRemind, r.RemindAt)
		if r.Auto {
			set(TimerAuto, r.SubmittedAt)
		}
	case Approved:
		set(TimerStart, r.ApprovedAt)
		set(TimerLapse, r.StartBy)
	case Scheduled:
		set(TimerStart, r.Start)
		set(TimerLapse, r.StartBy)
	case Activating:
		set(TimerActivate, r.NextTry)
		set(TimerEnd, r.EndsAt)
		set(TimerOverdue, r.OverdueAt)
	case Active:
		set(TimerEnd, r.EndsAt)
		set(TimerActivate, r.NextTry)
		set(TimerNotice, r.NoticeAt)
		set(TimerOverdue, r.OverdueAt)
	case Deactivating:
		set(TimerDeactivate, r.NextTry)
		set(TimerOverdue, r.OverdueAt)
	}
	return due
}

// Grant is the record as its connector sees it.
func (r *Record) Grant() Grant {
	return Grant{
		ID:            r.ID,
		Person:        Person{ID: r.Person, Email: r.Email, Accounts: map[string]string{r.Role.Connector: r.Account}},
		Role:          r.Role,
		End:           r.EndsAt,
		Extensions:    len(r.Extensions),
		Justification: r.Justification,
		Ticket:        r.Ticket,
	}
}

// Approvals counts the approvals given in the stage being decided.
func (r *Record) Approvals() int {
	n := 0
	for _, d := range r.Decisions {
		if d.Verdict == Approve && d.Stage == r.Stage {
			n++
		}
	}
	return n
}

// Found tells whether nobody asked for this: it is access of ours that a sweep found at the target, with no live grant
// that explained it, and that is taken away like a grant whose time is up.
func (r *Record) Found() bool { return r.Requester == System }

// Decided tells whether the person has decided already, at any stage.
func (r *Record) Decided(p PersonID) bool {
	for _, d := range r.Decisions {
		if d.By.Person == p {
			return true
		}
	}
	return false
}

// Ending tells whether the access is being taken away: its end has come, or somebody ended it, and it is not confirmed
// gone. A grant whose end has come is Active until the first try at its target has an answer.
func (r *Record) Ending(now time.Time) bool {
	return r.State == Deactivating || r.State == Active && !now.Before(r.EndsAt)
}

// Lateness is how much later than due the access was confirmed gone; zero for what has not ended.
func (r *Record) Lateness() time.Duration {
	if r.EndedAt.IsZero() || r.EndingAt.IsZero() {
		return 0
	}
	return max(0, r.EndedAt.Sub(r.EndingAt))
}
