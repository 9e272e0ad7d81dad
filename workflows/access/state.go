package access

import (
	"fmt"
	"slices"
)

// State is where a request stands.
type State string

// The states. Denied, Cancelled, Lapsed, Failed and Ended are terminal: nothing leaves them.
const (
	None         State = "" // not submitted yet
	Pending      State = "pending"
	Approved     State = "approved"
	Scheduled    State = "scheduled"
	Activating   State = "activating"
	Active       State = "active"
	Deactivating State = "deactivating"
	Denied       State = "denied"
	Cancelled    State = "cancelled"
	Lapsed       State = "lapsed"
	Failed       State = "failed"
	Ended        State = "ended"
)

// States lists every state a stored request can be in.
func States() []State {
	return []State{Pending, Approved, Scheduled, Activating, Active, Deactivating, Denied, Cancelled, Lapsed, Failed, Ended}
}

// Terminal tells whether nothing leaves the state.
func (s State) Terminal() bool {
	switch s {
	case Denied, Cancelled, Lapsed, Failed, Ended:
		return true
	}
	return false
}

// MayHold tells whether, in this state, the target may be giving the access on our account.
func (s State) MayHold() bool {
	return s == Activating || s == Active || s == Deactivating
}

// Arrow names one atomic step of a request.
type Arrow string

// The arrows. Those that stay in their state (vote, remind, notice, extend, retry, overdue) change the record all
// the same: each counts as a version and leaves an event.
const (
	Submit   Arrow = "submit"
	Vote     Arrow = "vote"     // an approval that does not settle the request yet
	Remind   Arrow = "remind"   // approvers are reminded
	Accept   Arrow = "approve"  // the last approval needed
	Refuse   Arrow = "deny"     // one denial settles it
	Cancel   Arrow = "cancel"   // the requester takes it back
	Lapse    Arrow = "lapse"    // nobody decided, or nobody started it, in time
	Schedule Arrow = "schedule" // approved, to start later
	Arm      Arrow = "arm"      // the end is written; the connector may be called from here on
	Retry    Arrow = "retry"    // the target did not do it; tried again later
	Confirm  Arrow = "confirm"  // the connector gave the access, or gives it for longer
	Fail     Arrow = "fail"     // the connector gave nothing, read back
	Undo     Arrow = "undo"     // a late, cancelled or uncertain activation is taken back
	Notice   Arrow = "notice"   // the holder is told that the end is near
	Extend   Arrow = "extend"   // the end of a running grant moves
	End      Arrow = "end"      // the end is due, or somebody asked for it
	Overdue  Arrow = "overdue"  // the deactivation is not confirmed in time
	Close    Arrow = "close"    // the target was read back: gone
	Part     Arrow = "part"     // a part of a bundle: its end is written, and its connector may be called
	Adopt    Arrow = "adopt"    // something of ours that no live grant explains was found, and is taken away
)

// Step is a row of the table of arrows.
type Step struct {
	Arrow Arrow
	From  []State
	To    State // None: stays where it is
}

// table is the one table of arrows; no other code decides what may follow what.
var table = []Step{
	{Submit, []State{None}, Pending},
	{Vote, []State{Pending}, None},
	{Remind, []State{Pending}, None},
	{Accept, []State{Pending}, Approved},
	{Refuse, []State{Pending}, Denied},
	{Cancel, []State{Pending, Approved, Scheduled}, Cancelled},
	{Lapse, []State{Pending, Approved, Scheduled}, Lapsed},
	{Schedule, []State{Approved}, Scheduled},
	{Arm, []State{Approved, Scheduled}, Activating},
	{Retry, []State{Activating, Active, Deactivating}, None},
	{Confirm, []State{Activating, Active}, Active},
	{Fail, []State{Activating}, Failed},
	{Undo, []State{Activating}, Deactivating},
	{Notice, []State{Active}, None},
	{Extend, []State{Active}, None},
	{End, []State{Active}, Deactivating},
	{Overdue, []State{Deactivating}, None},
	{Close, []State{Active, Deactivating}, Ended}, // from active where the first try at the end succeeds
	{Part, []State{None}, Activating},
	{Adopt, []State{None}, Deactivating},
}

// Table gives the table of arrows.
func Table() []Step { return slices.Clone(table) }

// Next is the state that an arrow leads to from a state. The error is a *MoveError where the table has no such arrow.
func Next(from State, a Arrow) (State, error) {
	for _, s := range table {
		if s.Arrow != a {
			continue
		}
		if !slices.Contains(s.From, from) {
			break
		}
		if s.To == None {
			return from, nil
		}
		return s.To, nil
	}
	return from, &MoveError{From: from, Arrow: a}
}

// MoveError says that a request cannot take an arrow from where it stands.
type MoveError struct {
	From  State
	Arrow Arrow
}

func (e *MoveError) Error() string {
	return fmt.Sprintf("no arrow %q leaves state %q", e.Arrow, e.From)
}
