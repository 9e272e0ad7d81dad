package bottest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// story is one thing that people do from its beginning to its end, with all of Elevate behind the adapter.
type story struct {
	name string
	tell func(*scene)
}

func stories() []story {
	return []story{
		{"a request from the question to the end", wholeStory},
		{"a form asks for what is missing", missingWords},
		{"a request is denied with a reason", denied},
		{"a form outlives a directory that is away", awayForAWhile},
		{"a request is taken back", takenBack},
		{"access is ended early from the personal message", endedEarly},
		{"access is extended by form", extended},
		{"a click that comes too late", tooLate},
		{"an account that is nobody's", stranger},
		{"a request that arrives often is one", askedOften},
		{"a click that arrives often counts once", clickedOften},
		{"a form that arrives often counts once", sentOften},
		{"hostile words do nothing", hostileWords},
		{"what is private stays private", privateAnswers},
		{"the Home page shows what is", homePage},
		{"a chat that is down delays nothing and catches up", downForAWhile},
		{"long words and many approvers", longAndMany},
		{"asking takes a code", secondFactor},
		{"approving takes a code", approvedWithCode},
		{"a code that cannot be checked", uncheckable},
	}
}

// Tell tells all stories on a stage.
func Tell(t *testing.T, s Stage) {
	t.Helper()
	known := map[string]bool{}
	for _, st := range stories() {
		known[st.name] = true
		if reason, ok := s.Cannot[st.name]; ok {
			if strings.TrimSpace(reason) == "" {
				t.Errorf("%q: say why it cannot be told", st.name)
			}
			t.Logf("declared impossible: %s: %s", st.name, reason)
			continue
		}
		t.Run(st.name, func(t *testing.T) {
			t.Parallel()
			s.play(t, st.tell)
		})
	}
	for name := range s.Cannot {
		if !known[name] {
			t.Errorf("there is no story %q", name)
		}
	}
}

const asking = "db-admin 1h INC-4711 fix the replication"

// asks is Ana's request, and its message.
func (s *scene) asks() Shown {
	s.Helper()
	s.types(Ana, asking)
	return s.channel("Waiting for approval", "Ana Lima (ana) asks for", "INC-4711", "fix the replication")
}

// active is Ana's request, approved by Lea: its message, and the one to Ana.
func (s *scene) active() (shown, mail Shown) {
	s.Helper()
	asked := s.asks()
	s.clicks(Lea, asked, "Approve")
	s.has(Ana, true)
	return s.becomes(asked, "Active until", "Approved by Lea Berg"), s.mail(Ana, "Access is active")
}

func wholeStory(s *scene) {
	m := s.asks()
	s.alone(Ana, "Request sent")
	s.offers(m, "Approve", "Deny…", "Details")
	s.calls(m, Lea, Leo)

	s.clicks(Ana, m, "Approve")
	s.alone(Ana, "somebody else has to decide")
	s.nothingGranted(Ana)

	s.clicks(Lea, m, "Approve")
	s.has(Ana, true)
	m = s.becomes(m, "Active until", "Approved by Lea Berg")
	s.offers(m, "End now", "Details")
	s.answered(m, "Approved by Lea Berg")
	s.answered(m, "Ana Lima holds the role now")
	s.offers(s.mail(Ana, "Access is active", "You hold Database admin"), "Extend…", "End now", "Details")

	s.advance(50*time.Minute + time.Second)
	s.offers(s.mail(Ana, "Access ends soon", "in 10 minutes"), "Extend…", "End now", "Details")
	s.advance(10 * time.Minute)
	s.has(Ana, false)
	m = s.becomes(m, "Ended")
	s.offers(m, "Details")
	s.answered(m, "Ended")
	s.mail(Ana, "Access has ended")
	if n := len(s.below("")); n != 1 {
		s.Errorf("%d messages in the channel, want one that tells all", n)
	}
}

func missingWords(s *scene) {
	const title = "Request access"
	s.types(Ben, "db-admin 30m")
	f := s.form(Ben, title, "ticket")
	if f.Values["role"] != "db-admin" || f.Values["duration"] != "30m" {
		s.Errorf("what was typed is lost: the form has %q", f.Values)
	}
	s.fills(Ben, "justification", "fix the replication")
	s.fills(Ben, "ticket", "4711")
	s.sends(Ben)
	s.until("the ticket is complained of", func() bool {
		f := s.Form(Ben)
		return f != nil && f.Errors["ticket"] != "" && len(f.Errors) == 1
	}, s.Posted)
	if n := len(s.Posted()); n != 0 {
		s.Errorf("the request was sent all the same: %d messages", n)
	}
	s.fills(Ben, "ticket", "INC-4711")
	s.sends(Ben)
	s.alone(Ben, "Ben Stone (ben) asks for", "You are told when it is decided")
	s.channel("Ben Stone (ben) asks for", "30 minutes", "INC-4711", "fix the replication")
	if s.Form(Ben) != nil {
		s.Errorf("the form is still open")
	}
}

func denied(s *scene) {
	m := s.asks()
	s.clicks(Lea, m, "Deny…")
	s.form(Lea, "Deny request", "reason")
	s.fills(Lea, "reason", "not during the *freeze*")
	s.sends(Lea)
	s.alone(Lea, "is denied")
	m = s.becomes(m, "Denied by Lea Berg", "not during the *freeze*")
	s.offers(m, "Details")
	s.answered(m, "Denied by Lea Berg", "not during the *freeze*")
	s.mail(Ana, "Denied", "Lea Berg", "not during the *freeze*")
	s.nothingGranted(Ana)
}

// awayForAWhile: what somebody wrote is not lost to a check that could not be made.
func awayForAWhile(s *scene) {
	const reason = "not during the freeze"
	m := s.asks()
	s.clicks(Lea, m, "Deny…")
	s.form(Lea, "Deny request", "reason")
	s.fills(Lea, "reason", reason)
	s.away.Store(true)
	s.sends(Lea)
	s.until("the form says that it was not done, and keeps the reason", func() bool {
		f := s.Form(Lea)
		return f != nil && strings.Contains(f.Errors["reason"], "could not be asked") && f.Values["reason"] == reason
	}, func() []Shown { return s.Told(Lea) })
	s.away.Store(false)
	s.sends(Lea)
	s.becomes(m, "Denied by Lea Berg", reason)
}

func takenBack(s *scene) {
	m := s.asks()
	s.clicks(Ana, s.alone(Ana, "Request sent"), "Cancel request")
	s.alone(Ana, "is cancelled")
	s.offers(s.becomes(m, "Cancelled by Ana Lima"), "Details")
	s.answered(m, "Cancelled by Ana Lima")
	s.clicks(Lea, m, "Approve") // as the message was before
	s.alone(Lea, "Already cancelled by Ana Lima")
	s.nothingGranted(Ana)
}

func endedEarly(s *scene) {
	m, mail := s.active()
	s.clicks(Ana, mail, "End now")
	s.alone(Ana, "The access is being taken away")
	s.has(Ana, false)
	s.offers(s.becomes(m, "Ended early by Ana Lima"), "Details")
	s.answered(m, "Ended early by Ana Lima")
	s.mail(Ana, "Access has ended")
}

func extended(s *scene) {
	m, mail := s.active()
	s.clicks(Ana, mail, "Extend…")
	s.form(Ana, "Extend access", "duration")
	s.fills(Ana, "duration", "30m")
	s.sends(Ana)
	s.alone(Ana, "Extended by 30 minutes")
	s.becomes(m, "Extended", "30 minutes more")
	s.answered(m, "Extended by Ana Lima")
	s.advance(80*time.Minute + time.Second) // past the first end
	s.mail(Ana, "Access ends soon")
	if !s.holds(Ana) {
		s.Errorf("the access ended as if it had not been extended")
	}
	s.advance(10 * time.Minute)
	s.has(Ana, false)
}

func tooLate(s *scene) {
	const says = "Already approved by Lea Berg"
	m := s.asks()
	s.clicks(Leo, m, "Deny…")
	s.form(Leo, "Deny request", "reason")
	s.fills(Leo, "reason", "too late")
	s.clicks(Lea, m, "Approve")
	s.has(Ana, true)
	s.becomes(m, "Active until")
	s.sends(Leo)
	s.alone(Leo, says)
	s.clicks(Leo, m, "Approve") // as the message was before
	again := func() bool {
		n := 0
		for _, a := range s.Told(Leo) {
			n += strings.Count(a.Text, says)
		}
		return n > 1
	}
	s.until("Leo is told again", again, func() []Shown { return s.Told(Leo) })
	if !s.holds(Ana) || s.becomes(m, "Active until").says("Denied") {
		s.Errorf("a click that came too late changed something")
	}
}

func stranger(s *scene) {
	const says = "does not know whose account this is"
	s.types(Eve, "mine")
	s.alone(Eve, says)
	m := s.asks()
	s.clicks(Eve, m, "Approve")
	s.until("Eve is told again", func() bool { return len(s.Told(Eve)) > 1 }, func() []Shown { return s.Told(Eve) })
	s.page(Eve, says)
	s.nothingGranted(Ana)
	s.becomes(m, "Waiting for approval")
}

// again delivers the last act some more times.
func (s *scene) again() {
	s.Helper()
	for range 5 {
		if err := s.Redeliver(); err != nil {
			s.Fatalf("deliver again: %v", err)
		}
	}
}

// records are Ana's requests.
func (s *scene) records() []*access.Record {
	s.Helper()
	all, _, err := s.Service.Requests(s.Context(), Ana, workflows.Query{Person: Ana, Limit: 50})
	must(s, err)
	return all
}

func askedOften(s *scene) {
	m := s.asks()
	s.again()
	if n := len(s.records()); n != 1 {
		s.Errorf("%d requests, want 1", n)
	}
	s.clicks(Lea, m, "Approve")
	s.mail(Ana, "Access is active")
	if n := len(s.below("")); n != 1 {
		s.Errorf("%d messages, want 1", n)
	}
}

func clickedOften(s *scene) {
	m := s.asks()
	s.clicks(Lea, m, "Approve")
	s.again()
	s.answered(m, "Ana Lima holds the role now")
	s.clicks(Ana, s.mail(Ana, "Access is active"), "End now")
	s.again()
	s.answered(m, "Ended early by Ana Lima")
	s.mail(Ana, "Access has ended")
	for _, what := range []string{"Approved by", "holds the role now", "Ended early"} {
		n := 0
		for _, a := range s.below(m.Ref) {
			n += strings.Count(a.Text, what)
		}
		if n != 1 {
			s.Errorf("%q is said %d times", what, n)
		}
	}
	if n := len(s.records()[0].Decisions); n != 1 {
		s.Errorf("%d decisions, want 1", n)
	}
}

func sentOften(s *scene) {
	m, mail := s.active()
	s.clicks(Ana, mail, "Extend…")
	s.form(Ana, "Extend access", "duration")
	s.fills(Ana, "duration", "30m")
	s.sends(Ana)
	s.again()
	s.answered(m, "Extended by Ana Lima")
	if n := len(s.records()[0].Extensions); n != 1 {
		s.Errorf("extended %d times by one form", n)
	}
}

func hostileWords(s *scene) {
	const turned = "gpj\u202egnp\u202c"
	s.types(Ana, "db-admin 1h INC-4711 "+Hostile+" "+turned+" end")
	m := s.channel("Waiting for approval", Hostile+" gpjgnp end")
	s.calls(m, Lea, Leo)
	s.clicks(Lea, m, "Deny…")
	s.form(Lea, "Deny request", "reason")
	s.fills(Lea, "reason", Hostile)
	s.sends(Lea)
	s.becomes(m, "Denied by", Hostile)
	s.calls(s.answered(m, "Denied by", Hostile))
	s.mail(Ana, "Denied", Hostile)
	for _, all := range [][]Shown{s.Posted(), s.Personal(Ana), s.Told(Ana)} {
		for _, each := range all {
			if strings.ContainsRune(each.Text+each.Notice, '\u202e') {
				s.Errorf("what turns words round is shown: %q", each.Text)
			}
		}
	}
}

func privateAnswers(s *scene) {
	s.asks()
	sent := s.alone(Ana, "Request sent")
	id := s.records()[0].ID
	for words, answer := range map[string]string{
		"mine": "Open requests (1)", "roles vault": "Vault admin", "show " + string(id): "Decide by", "help": "Get a role for a short time",
	} {
		s.types(Ana, words)
		s.alone(Ana, answer)
	}
	s.clicks(Ana, sent, "Details")
	if n := len(s.Posted()); n != 1 {
		s.Errorf("%d messages in the channel, want the request's alone", n)
	}
}

func homePage(s *scene) {
	s.page(Ana, "You hold no access")
	s.asks()
	s.page(Ana, "Open requests (1)")
	s.clicks(Lea, s.page(Lea, "Waiting for your decision (1)", "Ana Lima"), "Approve")
	s.alone(Lea, "You approved")
	s.mail(Ana, "Access is active")
	s.clicks(Ana, s.page(Ana, "Active access (1)", "until"), "End now")
	s.alone(Ana, "The access is being taken away")
	s.has(Ana, false)
	s.mail(Ana, "Access has ended")
	s.page(Ana, "You hold no access", "Recent (1)")
	s.page(Lea, "You hold no access")
}

func downForAWhile(s *scene) {
	m := s.asks()
	s.Break(true)
	s.clicks(Lea, m, "Approve")
	s.has(Ana, true)
	s.types(Ben, "db-admin 30m INC-4712 look at the replica")
	s.until("the chat is tried for both requests, in vain", func() bool { return s.unsent.Load() >= 2 }, s.Posted)
	s.Break(false)
	told := func(all []Shown, words string) bool {
		return slices.ContainsFunc(all, func(m Shown) bool { return m.says(words) })
	}
	done := func() bool {
		s.advance(100 * time.Millisecond) // what failed is tried again after a while
		thread := s.below(m.Ref)
		return told(thread, "Approved by Lea Berg") && told(thread, "holds the role now") && told(s.below(""), "Active until") &&
			told(s.below(""), "look at the replica") && told(s.Personal(Ana), "Access is active")
	}
	s.until("everything is told in the end", done, s.Posted)
	if n := len(s.below("")); n != 2 {
		s.Errorf("%d messages in the channel, want 2", n)
	}
}

func longAndMany(s *scene) {
	why := strings.TrimSpace(strings.Repeat("Why & wherefore, at <length>. ", 60))
	s.types(Ana, "vault-admin 2h "+why)
	m := s.channel("Waiting for approval", why, "45 more")
	s.offers(m, "Approve", "Deny…", "Details")
	s.calls(m)
	s.clicks(one(crowd-1), m, "Approve")
	s.offers(s.becomes(m, "Active until", why), "End now", "Details")
	s.clicks(Ana, m, "Details")
	s.alone(Ana, "Approved", "One of Very Many Keepers 49", "Why & wherefore")
}
