package access_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"elevate/workflows/access"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// full is a record with every time set, in the given state.
func full(s access.State) *access.Record {
	return &access.Record{
		Schema: access.Schema, State: s, Version: 7,
		Request: access.Request{
			ID: "07kq4-m2xp9", Requester: "ana", Person: "ana", Role: access.Role{ID: "db", Connector: "pg"},
			Duration: time.Hour, SubmittedAt: noon, Start: noon.Add(time.Hour), Auto: true, Account: "ana",
		},
		DecideBy: noon.Add(1 * time.Minute), RemindAt: noon.Add(2 * time.Minute), ApprovedAt: noon.Add(3 * time.Minute),
		StartBy: noon.Add(4 * time.Minute), ActivatedAt: noon.Add(5 * time.Minute), EndsAt: noon.Add(6 * time.Minute),
		NoticeAt: noon.Add(7 * time.Minute), EndingAt: noon.Add(8 * time.Minute), OverdueAt: noon.Add(9 * time.Minute),
		NextTry: noon.Add(10 * time.Minute),
	}
}

func TestTimersFollowFromTheState(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	want := map[access.State]map[access.Timer]time.Time{
		access.Pending:      {access.TimerLapse: at(1), access.TimerRemind: at(2), access.TimerAuto: at(0)},
		access.Approved:     {access.TimerStart: at(3), access.TimerLapse: at(4)},
		access.Scheduled:    {access.TimerStart: at(60), access.TimerLapse: at(4)},
		access.Activating:   {access.TimerActivate: at(10), access.TimerEnd: at(6), access.TimerOverdue: at(9)},
		access.Active:       {access.TimerActivate: at(10), access.TimerEnd: at(6), access.TimerNotice: at(7), access.TimerOverdue: at(9)},
		access.Deactivating: {access.TimerDeactivate: at(10), access.TimerOverdue: at(9)},
	}
	for _, s := range access.States() {
		w := want[s]
		if w == nil {
			w = map[access.Timer]time.Time{}
		}
		if got := full(s).Due(); !reflect.DeepEqual(got, w) {
			t.Errorf("%s: Due() = %v, want %v", s, got, w)
		}
	}
}

func TestOnlyTerminalStatesHaveNoTimer(t *testing.T) {
	t.Parallel()
	for _, s := range access.States() {
		if got := len(full(s).Due()) == 0; got != s.Terminal() {
			t.Errorf("%s: without timers %v, terminal %v", s, got, s.Terminal())
		}
	}
}

func TestTheEndIsArmedWhereverTheTargetMayGiveAccess(t *testing.T) {
	t.Parallel()
	for _, s := range access.States() {
		due := full(s).Due()
		_, end := due[access.TimerEnd]
		_, off := due[access.TimerDeactivate]
		if s.MayHold() != (end || off) {
			t.Errorf("%s: MayHold %v, but end armed %v and deactivation armed %v", s, s.MayHold(), end, off)
		}
	}
}

func TestRecordSurvivesItsStoredForm(t *testing.T) {
	t.Parallel()
	want := full(access.Active)
	want.Role.Target = map[string]any{"role": "db_admin"}
	want.Receipt = &access.Receipt{Ref: "x"}
	raw, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got access.Record
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&got, want) {
		t.Errorf("got  %+v\nwant %+v", got, *want)
	}
}

func TestRightIsTheSameForTheSameAccountRoleAndTargetOnly(t *testing.T) {
	t.Parallel()
	base := access.Request{Account: "ana", Role: access.Role{ID: "a", Connector: "pg", Target: map[string]any{"role": "x", "set": true}}}
	same := base
	same.Role.ID, same.ID, same.Role.Target = "b", "other", map[string]any{"set": true, "role": "x"}
	if base.Right() != same.Right() {
		t.Error("two catalogue entries of one privilege have different rights")
	}
	for name, change := range map[string]func(*access.Request){
		"account":   func(r *access.Request) { r.Account = "bob" },
		"connector": func(r *access.Request) { r.Role.Connector = "pg2" },
		"target":    func(r *access.Request) { r.Role.Target = map[string]any{"role": "y", "set": true} },
	} {
		other := base
		change(&other)
		if other.Right() == base.Right() {
			t.Errorf("another %s has the same right", name)
		}
	}
}

func TestAccountFallsBackToTheID(t *testing.T) {
	t.Parallel()
	p := access.Person{ID: "ana", Accounts: map[string]string{"pg": "ana_l"}}
	if got := p.Account("pg"); got != "ana_l" {
		t.Errorf("Account(pg) = %q", got)
	}
	if got := p.Account("other"); got != "ana" {
		t.Errorf("Account(other) = %q", got)
	}
}
