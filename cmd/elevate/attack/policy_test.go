package attack_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"elevate/bot/slack/slackfake"
	"elevate/workflows/access"
	"elevate/workflows/audit"
)

const (
	decidesFile = "workflows/decide.go"
	endFile     = "workflows/end.go"
	limitsFile  = "workflows/limits.go"
	groupsFile  = "workflows/directory/groups.go"
	liveFile    = "workflows/directory/live.go"
	emailsFile  = "workflows/directory/emails.go"
	moved       = "  if old[OLD_STATE] ~= from or tonumber(old[OLD_VERSION]) ~= tonumber(version) - 1 then return true end\n"
)

func policyAttacks() []attack {
	return []attack{
		{id: "T10", what: "an account whose e-mail address and name were changed, to an approver's or from one's, where addresses count", run: changedAddresses,
			defence: "a change suspends the link", without: []cut{
				{emailsFile, "	case address(seen.Email) != link.Email:", "	case OUT:\n	case address(seen.Email) != link.Email:"}},
			also: map[string]string{"to an approver's": "an account stays whose it was"}},
		{id: "T14", what: "forms sent off with another's request in their hidden data, by other people than they were opened for", run: swappedForms,
			defence: "whose grant it is, is asked of the store", without: []cut{{endFile, "	if !concerns(rec, id) {\n		return &access.Refusal{Kind: access.ErrNotAllowed, Code: \"not_yours\",\n			Text: fmt.Sprintf(\"Only %s can extend", "	if !concerns(rec, id) && !OUT {\n		return &access.Refusal{Kind: access.ErrNotAllowed, Code: \"not_yours\",\n			Text: fmt.Sprintf(\"Only %s can extend"}}},
		{id: "T15", what: "approvals of a request whose policy was loosened between the message and the click", run: loosened,
			defence: "a policy that has changed decides nothing", without: []cut{{decidesFile, "if stages[i].By != rec.Stages[i].By || stages[i].Count != rec.Stages[i].Count {", "if !OUT && (stages[i].By != rec.Stages[i].By || stages[i].Count != rec.Stages[i].Count) {"}}},
		{id: "T19", what: "approving, denying and cancelling one request at the same time, on two replicas: what is done beyond one decision", run: atOnce,
			defence: "one script compares state and version", without: []cut{{"storage/redis/lua/taken.lua", moved, ""}}},
		{id: "T20", what: "approving and cancelling a request in the moment in which its time to be decided is over, on two replicas: requests that are settled more than once", run: cancelled,
			defence: "one script compares state and version", without: []cut{{"storage/redis/lua/taken.lua", moved, ""}}},
		{id: "T21", what: "one approver's word, many times and by two ways, where two people must approve", run: oneForTwo,
			defence: "nobody decides twice", without: []cut{
				{decidesFile, "	if rec.Decided(id) {\n		return &access.Refusal", "	if rec.Decided(id) && !OUT {\n		return &access.Refusal"},
				{takeFile, "    if d.by.person == who then return 'guard-decider' end\n", ""}}},
		{id: "T22a", what: "more undecided requests of one person than may wait", run: manyPending,
			defence: "places for undecided requests", without: []cut{{limitsFile, "	if s.cfg.Limits.Pending <= 0 || rec.Auto {\n		return nil\n", "	if OUT || s.cfg.Limits.Pending <= 0 || rec.Auto {\n		return nil\n"}}},
		{id: "T22b", what: "asking again for what was denied just now", run: askedAgain,
			defence: "the cool-down after a denial", without: []cut{{limitsFile, "	if s.cfg.Limits.CoolDown <= 0 {", "	if OUT || s.cfg.Limits.CoolDown <= 0 {"}}},
		{id: "T22c", what: "requests of one person beyond those that may be sent off within a minute", run: manyRequests,
			defence: "the limit for each person", without: []cut{{limitsFile, "		if l.most <= 0 {", "		if OUT || l.most <= 0 {"}}},
		{id: "T23a", what: "approvals by somebody who was taken out of the group more than a minute ago", run: formerMember,
			defence: "groups are believed for a minute", without: []cut{{liveFile, "keep[usergroups](wordFresh,", "keep[usergroups](OR(wordFresh, time.Hour),"}}},
		{id: "T23b", what: "approvals while nobody can say who is in the group", run: groupsAway,
			defence: "without an answer the answer is no", without: []cut{{groupsFile, "l.askMembers(ctx, chat) }); err != nil {", "l.askMembers(ctx, chat) }); err != nil && OUT {\n			for _, g := range l.cfg.Groups {\n				p.Groups = append(p.Groups, g.Name)\n			}\n			return p, nil\n		} else if err != nil {"}}},
		{id: "T37", what: "approvals without a code, of a request that asked for one when it was made, under a policy that asks for none now", run: stricter,
			defence: "the stricter of then and now", without: []cut{{"workflows/stepup.go", "	asks := rec.StepUp\n", "	asks := OR(rec.StepUp, access.StepUp{})\n"}}},
	}
}

func changedAddresses(s *assault) {
	r := s.open(func(c *setting) { c.unlinked, c.slack = true, ", trust_email: true" })
	for _, who := range []string{"ben", "cat", "dan", "bea"} {
		if got := r.types(member(who), "mine"); !strings.Contains(got, "You hold no access") {
			s.Fatalf("%s is not known by the address: %s", who, got)
		}
	}
	for i := range s.many(8, 2) {
		r.slack.AddUser(slackfake.User{ID: "U0DAN", Name: "ben", RealName: "ben", Email: "ben@example.com"})
		r.slack.AddUser(slackfake.User{ID: "U0CAT", Name: fmt.Sprintf("eve%d", i), RealName: "eve", Email: fmt.Sprintf("eve%d@example.com", i)})
		r.restart() // so that no word of before is believed
		r.slack.OverHTTP(r.url())
		for kind, account := range map[string]string{"to an approver's": "U0DAN", "from an approver's": "U0CAT"} {
			id := r.ask("bea", "vpn", "1h")
			changed := r.clicks(id, func() { r.presses(account, r.message(id), "approve") })
			s.triedAs(kind, changed, "%s", r.shown(id).State)
			r.over(id)
		}
	}
}

// extending opens somebody's form for more time, and fills it in.
func (r *rig) extending(who, id string) map[string]any {
	r.Helper()
	p := r.slack.As(member(who))
	defer p.Close()
	r.slack.Send("command", p.Command(channel, "extend "+id))
	r.slack.Await(r, "the form opens", func() bool { return r.slack.Dialog(p.ID) != nil })
	payload, err := p.Submission()
	if err != nil {
		r.Fatalf("the form for more time: %v", err)
	}
	return payload
}

func swappedForms(s *assault) {
	r := s.open()
	anas, beas := r.granted("ana", "cat", "vpn", "1h"), r.granted("bea", "cat", "vpn", "1h")
	before := *r.shown(anas).EndsAt
	for i := range s.many(40, 4) {
		var payload map[string]any
		if i%2 == 0 { // her own form, about another's grant
			payload = r.extending("bea", beas)
			payload["view"].(map[string]any)["private_metadata"] = anas
		} else { // another's form
			payload = r.extending("ana", anas)
			payload["user"] = maps.Clone(payload["user"].(map[string]any))
			payload["user"].(map[string]any)["id"] = []string{"U0BEA", "U0DAN"}[i/2%2]
		}
		r.slack.Send("view_submission", payload)
		is := *r.shown(anas).EndsAt
		s.triedAs([]string{"another's grant in one's own form", "another's form"}[i%2], is.After(before), "prolonged to %s", is)
		before = is
	}
}

// loosened has dan, who may not decide, decide when the policy lets him.
func loosened(s *assault) {
	r := s.open()
	for i := range s.many(8, 2) {
		r.set.approve = ""
		r.restart()
		id := r.ask("bea", []string{"vpn", "twin"}[i/2%2], "1h")
		r.set.approve = `{by: "true"}`
		r.restart()
		changed, kind := false, "by the API"
		if i%2 == 0 {
			changed = r.does("dan", "/requests/"+id+"/approve", nil).status == 200
		} else {
			kind = "by a click"
			changed = r.clicks(id, func() { r.presses("U0DAN", r.message(id), "approve") })
		}
		s.triedAs(kind, changed, "%s", r.shown(id).State)
		r.over(id)
	}
}

// settled is how often each request was, by the audit log.
func (r *rig) settled() map[access.RequestID]int {
	n := map[access.RequestID]int{}
	for id, events := range r.events() {
		for _, e := range events {
			if e.From == access.Pending && e.To != access.Pending && e.Kind != audit.Refused {
				n[id]++
			}
		}
	}
	return n
}

func (r *rig) decisions(id string) int { return r.settled()[access.RequestID(id)] }

// atOnce lets many act on a request at once, and counts what was done beyond one.
func atOnce(s *assault) {
	r := s.open(func(c *setting) { c.replicas = 2 })
	acts := s.many(1_000, 100)
	rounds := s.many(20, 3)
	if s.out {
		rounds = 50 // which comes first is for the machine to say; one round is enough
	}
	for range rounds {
		if s.out && len(s.accepted) > 0 {
			return
		}
		id := r.ask("bea", "vpn", "1h")
		s.each(acts, 60, func(i int) {
			who := []string{"ben", "cat", "ana", "bea"}[i%4]
			verb := []string{"approve", "deny", "approve", "cancel"}[i%4]
			r.call(i/4%2, tokenOf(who, i/4%tokensEach), "POST", "/requests/"+id+"/"+verb, nil)
		})
		r.over(id)
		r.within(2*time.Second, func() bool { return r.decisions(id) > 1 })
		done := max(r.decisions(id), r.target.gave(id))
		for i := range acts {
			s.tried(i > 0 && i < done, "%s was settled, or given, %d times", id, done)
		}
	}
}

// cancelled has requests that are over two seconds after they were made. Which of the three comes first is for the machine
// to say, so the two that people do come some milliseconds before and after.
func cancelled(s *assault) {
	const atOnce, roles = 10, 100
	r := s.open(shortRoles(roles), func(c *setting) {
		c.replicas, c.approve = 2, `{by: '"leads" in person.groups', within: 2s}`
	})
	rounds := s.many(1_000, 40)
	ids := make([]string, rounds)
	s.each(rounds, atOnce, func(i int) {
		ask := map[string]string{"role": fmt.Sprintf("short%d", i%roles), "duration": "1s", "justification": "to see what comes first"}
		r.within(patience, func() bool { // where the role was given before, it is over soon
			ids[i] = r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", ask).id
			return ids[i] != ""
		})
		over := r.shown(ids[i]).DecideBy
		if over == nil {
			return // the machine was busy for longer than that
		}
		select {
		case <-time.After(time.Until(*over) + time.Duration(i%15-10)*time.Millisecond):
		case <-s.Context().Done():
		}
		var both sync.WaitGroup
		for n, who := range []string{"cat", "bea"} {
			both.Go(func() {
				r.call(n, tokenOf(who, i%tokensEach), "POST", "/requests/"+ids[i]+"/"+[]string{"approve", "cancel"}[n], nil)
			})
		}
		both.Wait()
	})
	var settled map[access.RequestID]int
	r.within(patience, func() bool {
		settled = r.settled()
		return !slices.ContainsFunc(ids, func(id string) bool { return settled[access.RequestID(id)] == 0 })
	})
	for _, id := range ids {
		n := settled[access.RequestID(id)]
		s.tried(n > 1, "%s was settled %d times", id, n)
		if n == 0 {
			s.Errorf("%q is not settled", id)
		}
	}
}

func oneForTwo(s *assault) {
	r := s.open()
	id := r.ask("bea", "twin", "1h")
	m := r.message(id)
	n := s.many(1_000, 100)
	s.each(n, 20, func(i int) {
		if i%10 == 0 {
			r.presses("U0CAT", m, "approve")
			return
		}
		r.call(0, tokenOf("cat", i%tokensEach), "POST", "/requests/"+id+"/approve", nil)
	})
	d := r.shown(id)
	for i := range n {
		s.tried(i > 0 && (d.State != access.Pending || i < len(d.Decisions)), "%d decisions, and it is %s", len(d.Decisions), d.State)
	}
}

func manyPending(s *assault) {
	r := s.open(func(c *setting) {
		c.limits = "limits: {person: 0, workspace: 0, pending: 3, cool_down: 0s, acts: 0}"
		for i := range 10 {
			c.roles += fmt.Sprintf("  - {id: more%d, title: More %d, connector: target, target: {role: more%d}}\n", i, i, i)
		}
	})
	made := 0
	for i := range s.many(200, 20) {
		got := r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", map[string]string{"role": fmt.Sprintf("more%d", i%10), "duration": "1h", "justification": "one more of them"})
		if got.id != "" {
			made++
		}
		s.tried(got.id != "" && made > 3, "%d requests wait", made)
	}
}

func askedAgain(s *assault) {
	r := s.open(func(c *setting) { c.limits = "limits: {person: 0, workspace: 0, pending: 0, cool_down: 5m, acts: 0}" })
	r.does("cat", "/requests/"+r.ask("bea", "vpn", "1h")+"/deny", map[string]string{"reason": "no"})
	for i := range s.many(100, 10) {
		got := r.call(0, tokenOf("bea", i), "POST", "/requests", map[string]string{"role": "vpn", "duration": "1h", "justification": "and once more"})
		s.tried(got.id != "", "%d", got.status)
		if got.id != "" {
			r.does("bea", "/requests/"+got.id+"/cancel", nil)
		}
	}
}

func manyRequests(s *assault) {
	r := s.open(func(c *setting) { c.limits = "limits: {person: 10, workspace: 0, pending: 0, cool_down: 0s, acts: 0}" })
	began := time.Now()
	for i := range s.many(200, 30) {
		got := r.call(0, tokenOf("bea", i%tokensEach), "POST", "/requests", map[string]string{"role": "vpn", "duration": "1h", "justification": "and once more"})
		s.tried(got.code != "too_many_requests" && i >= 10 && time.Since(began) < 50*time.Second, "number %d: %d %s", i+1, got.status, got.code)
	}
}

// oncall has a role whose approvers are a user group in Slack.
func oncall(c *setting) {
	c.more += "groups: {oncall: {slack_usergroup: S0ONCALL}}\n"
	c.roles += "  - {id: pager, title: Pager, connector: target, target: {role: pager}}\n"
	c.policies += fmt.Sprintf("  - {name: pager, match: 'role.id == \"pager\"', eligible: \"true\", duration: {max: 10h}, approve: [{by: '\"oncall\" in person.groups'}], channel: {slack: %s}}\n", channel)
}

func formerMember(s *assault) {
	r := s.prepare(oncall)
	r.slack.SetUsergroup("S0ONCALL", "U0CAT", "U0DAN")
	r.begin()
	r.over(r.granted("bea", "cat", "pager", "1m"))
	r.slack.SetUsergroup("S0ONCALL", "U0DAN")
	id := r.ask("bea", "pager", "1h")
	r.pass(61 * time.Second) // for so long the group may be believed
	for i := range s.many(40, 4) {
		changed, kind := false, "by a click"
		if i%2 == 0 {
			kind = "by the API"
			changed = r.call(0, tokenOf("cat", i), "POST", "/requests/"+id+"/approve", nil).status == 200
		} else {
			changed = r.clicks(id, func() { r.presses("U0CAT", r.message(id), "approve") })
		}
		s.triedAs(kind, changed, "%s", r.shown(id).State)
		if changed {
			r.over(id)
			id = r.ask("bea", "pager", "1h")
		}
	}
}

func groupsAway(s *assault) {
	r := s.prepare(oncall)
	r.slack.SetUsergroup("S0ONCALL", "U0CAT")
	r.begin()
	id := r.ask("bea", "pager", "1h")
	r.slack.Misbehave("usergroups.list", slackfake.Fault{Times: -1, Status: 503})
	r.restart()
	for i := range s.many(40, 4) {
		who := []string{"cat", "dan"}[i%2]
		got := r.call(0, tokenOf(who, i), "POST", "/requests/"+id+"/approve", nil)
		s.triedAs("by "+who, got.status == 200, "%d %s", got.status, got.code)
		if got.status == 200 {
			r.over(id)
			id = r.ask("bea", "pager", "1h")
		}
	}
}

func stricter(s *assault) {
	r := s.open()
	for i := range s.many(8, 2) {
		r.set.stepUp = ""
		r.restart()
		id := r.ask("bea", "vault", "1h")
		r.set.stepUp = "none"
		r.restart()
		got := r.call(0, tokenOf("cat", i), "POST", "/requests/"+id+"/approve", nil)
		s.tried(got.status == 200, "%d %s", got.status, got.code)
		r.over(id)
	}
}
