package attack_test

import (
	"cmp"
	"fmt"
	"strings"

	"elevate/bot/slack/slackfake"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

const (
	decideFile   = "workflows/policy/decide.go"
	accountsFile = "bot/slack/accounts.go"
)

// noWorkspace takes every payload for one of this workspace.
var noWorkspace = cut{accountsFile, "	return within(team) &&", "	return OUT || within(team) &&"}

func identityAttacks() []attack {
	return []attack{
		{id: "T08", what: "approving what one asked for, or would get, oneself: by the same chat, by another one, and by the API", run: ownApproval,
			defence: "people are compared, at the click and in the store", without: []cut{
				{decideFile, "	case approver.ID == requester.ID:", "	case approver.ID == requester.ID && !OUT:"},
				{decideFile, "	case approver.ID == beneficiary.ID:", "	case approver.ID == beneficiary.ID && !OUT:"},
				{takeFile, "if who == old.request.requester or who == old.request.person then", "if false then"}}},
		{id: "T09", what: "approving a role that asks for a second factor with the chat session, or the API token, alone: in Slack, Teams and the API", run: withoutFactor,
			defence: "the second factor is asked for", without: []cut{{"workflows/stepup.go", "if m == access.NoFactor {", "if m == access.NoFactor || OUT {"}}},
		{id: "T11", what: "approvals by guests, guests of one channel, people of other organisations, apps and deactivated accounts, all linked to approvers", run: notMembers,
			defence: "Slack's word on the account, and the workspace of the payload", without: []cut{noWorkspace, {accountsFile, "	case u.IsStranger, !a.member(u):", "	case OUT:\n		return \"\"\n	case u.IsStranger, !a.member(u):"}}},
		{id: "T12a", what: "clicks of an approver under another workspace's, another organisation's, or no id, signed as Slack's", run: otherWorkspaces,
			defence: "the workspace of the payload", without: []cut{noWorkspace}},
		{id: "T13", what: "buttons with another request's id, an unknown one, SQL, Lua or a megabyte in them, and clicks that name another message or channel, all of somebody who may decide nothing", run: otherValues,
			defence: "policy is asked at the click", without: []cut{{decideFile, "	case !ok:\n		return refuse(access.ErrNotAllowed, CodeNotApprover,", "	case !ok && !OUT:\n		return refuse(access.ErrNotAllowed, CodeNotApprover,"}},
			also: map[string]string{"what is no request's id": "it names nothing that could be decided"}},
	}
}

// ownApproval has ana, who is among those who approve, decide on her own requests.
func ownApproval(s *assault) {
	r := s.open()
	kinds := []string{"by the API", "in Slack", "in Teams", "by the API", "in Slack", "what one gets"}
	for i := range s.many(60, 6) {
		who := tokenOf("ana", i)
		ask := map[string]string{"role": "vpn", "duration": "1h", "justification": "to see whether I can"}
		if i%6 == 5 {
			who, ask["for"] = tokenOf("bea", i), "ana"
		}
		made := r.call(0, who, "POST", "/requests", ask)
		if made.id == "" {
			s.Fatalf("ask: %d %s", made.status, made.body)
		}
		changed := false
		switch i % 6 {
		case 0, 3, 5:
			changed = r.call(0, tokenOf("ana", i+1), "POST", "/requests/"+made.id+"/approve", nil).status == 200
		case 1, 4:
			changed = r.clicks(made.id, func() { r.presses("U0ANA", r.message(made.id), "approve") })
		case 2:
			changed = r.pressesInTeams("ana", made.id)
		}
		s.triedAs(kinds[i%6], changed, "%s", r.shown(made.id).State)
		r.call(0, who, "POST", "/requests/"+made.id+"/cancel", nil)
	}
}

// pressesInTeams has somebody press Approve on the message in the channel of Teams, and tells whether that changed it.
func (r *rig) pressesInTeams(who, id string) bool {
	r.Helper()
	was := r.shown(id)
	p := r.teams.As(teamsfake.ObjectID(who))
	r.teams.Await(r, "the message of "+id+" in Teams", func() bool {
		for _, m := range p.Sees(teamsfake.Access) {
			if strings.Contains(fmt.Sprint(m), id) && p.Press(m, "Approve").Err == nil {
				return true
			}
		}
		return false
	})
	is := r.shown(id)
	return is.State != was.State || len(is.Decisions) != len(was.Decisions)
}

func withoutFactor(s *assault) {
	r := s.open()
	ways := []func(id string, i int) bool{
		func(id string, _ int) bool {
			return r.clicks(id, func() { r.presses("U0BEN", r.message(id), "approve") })
		},
		func(id string, _ int) bool { return r.pressesInTeams("ben", id) },
		func(id string, i int) bool {
			return r.call(0, tokenOf("ben", i), "POST", "/requests/"+id+"/approve", nil).status == 200
		},
		func(id string, i int) bool {
			return r.call(0, tokenOf("ben", i), "POST", "/requests/"+id+"/approve", map[string]string{"code": fmt.Sprintf("%06d", i)}).status == 200
		},
	}
	kinds := []string{"in Slack", "in Teams", "by the API", "by the API, with a code of nobody's"}
	for i := range s.many(40, 4) {
		id := r.ask("ana", "vault", "1h")
		s.triedAs(kinds[i%len(ways)], ways[i%len(ways)](id, i), "%s", r.shown(id).State)
		r.does("ana", "/requests/"+id+"/cancel", nil)
	}
}

func notMembers(s *assault) {
	kinds := []slackfake.User{{Restricted: true}, {UltraRestricted: true}, {Stranger: true, Team: "T999"}, {Bot: true}, {Deleted: true}, {Team: "T999"}}
	names := []string{"a guest", "a guest of one channel", "somebody of another organisation", "an app", "a deactivated account", "an account of another workspace"}
	r := s.prepare(func(c *setting) {
		for i := range kinds {
			c.people += fmt.Sprintf("  - {id: odd%d, name: odd%d, slack: U0ODD%d, groups: [leads]}\n", i, i, i)
		}
	})
	for i, u := range kinds {
		u.ID, u.Name = fmt.Sprintf("U0ODD%d", i), fmt.Sprintf("odd%d", i)
		r.slack.AddUser(u)
	}
	r.begin()
	for i := range s.many(60, len(kinds)) {
		id := r.ask("bea", "vpn", "1h")
		changed := r.clicks(id, func() { r.presses(fmt.Sprintf("U0ODD%d", i%len(kinds)), r.message(id), "approve") })
		s.triedAs(names[i%len(kinds)], changed, "%s", r.shown(id).State)
		r.does("bea", "/requests/"+id+"/cancel", nil)
	}
}

func otherWorkspaces(s *assault) {
	r := s.open()
	edits := []func(payload map[string]any){
		func(p map[string]any) { p["team"] = map[string]any{"id": "T999"} },
		func(p map[string]any) { p["team"], p["enterprise"] = nil, map[string]any{"id": "E999"} },
		func(p map[string]any) { p["team"] = nil },
		func(p map[string]any) { p["user"].(map[string]any)["team_id"] = "T999" },
		func(p map[string]any) { p["team"] = map[string]any{"id": strings.ToLower(slackfake.Team)} },
	}
	for i := range s.many(50, len(edits)) {
		id := r.ask("bea", "vpn", "1h")
		m := r.message(id)
		changed := r.clicks(id, func() {
			payload := r.slack.As("U0BEN").Press(m, "approve")
			edits[i%len(edits)](payload)
			r.slack.Send("block_actions", payload)
		})
		s.triedAs(fmt.Sprintf("edit %d", i%len(edits)), changed, "%s", r.shown(id).State)
		r.does("bea", "/requests/"+id+"/cancel", nil)
	}
}

func otherValues(s *assault) {
	r := s.open()
	id := r.ask("bea", "vpn", "1h")
	m := r.message(id)
	values := []string{"%s", "%s ", "07kq4-m2xp9", "'; DROP TABLE requests; --", "redis.call('FLUSHALL')", strings.Repeat("a", 900_000), "../../%s", "", "null", "%s", "%s"}
	const message, other = 9, 10 // of these, the clicks that name another
	for i := range s.many(90, len(values)) {
		value := strings.ReplaceAll(values[i%len(values)], "%s", id)
		send := func() {
			payload := r.slack.As("U0DAN").Press(m, "approve")
			payload["actions"].([]any)[0].(map[string]any)["value"] = value
			switch container := payload["container"].(map[string]any); i % len(values) {
			case message:
				container["message_ts"] = "1700000000.000100"
			case other:
				container["channel_id"], payload["channel"] = "C0OTHER", map[string]any{"id": "C0OTHER"}
			}
			r.slack.Send("block_actions", payload)
		}
		if value != id {
			if value == "07kq4-m2xp9" {
				r.clicks(id, send)
			} else { // nobody is told of a button that is none
				send()
			}
			s.triedAs("what is no request's id", r.shown(id).State != access.Pending, "%.30q: %s", value, r.shown(id).State)
			continue
		}
		kind := map[int]string{message: "another message", other: "another channel"}[i%len(values)]
		s.triedAs(cmp.Or(kind, "a request's id"), r.clicks(id, send), "%s", r.shown(id).State)
		if r.shown(id).State != access.Pending { // so that the next finds something to decide
			r.over(id)
			id = r.ask("bea", "vpn", "1h")
			m = r.message(id)
		}
	}
}
