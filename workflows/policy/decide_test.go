package policy

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"elevate/workflows/access"
)

func TestEligibleAnswersOrRefuses(t *testing.T) {
	t.Parallel()
	for eligible, want := range map[string]string{ // the code; empty: eligible
		`"sre" in person.groups`:                                          "",
		`"dba" in person.groups`:                                          CodeNotEligible,
		`sets.intersects(person.groups, ["dba", "sre"])`:                  "",
		`person.id == "ana" && person.name == "Ana Lima"`:                 "",
		`person.email.endsWith("@example.com")`:                           "",
		`person.kind == "human"`:                                          "",
		`role.id == "prod-db-admin" && role.title != ""`:                  "",
		`role.target.role == "db_admin" && role.target.port == 5432`:      "",
		`role.target.nope == "x"`:                                         CodeRuleFailed,
		`role.labels.env == "prod"`:                                       "",
		`role.labels.nope == ""`:                                          CodeRuleFailed,
		`role.labels.?nope.orValue("x") == "x"`:                           "",
		`!has(role.labels.nope)`:                                          "",
		`request.duration <= duration("1h")`:                              "",
		`request.duration < duration("1h")`:                               CodeNotEligible,
		`request.justification.contains("replication")`:                   "",
		`request.ticket.matches("^INC-[0-9]+$")`:                          "",
		`request.weekday == "monday" && request.hour == 14`:               "",
		`request.start.getDayOfWeek() == 1`:                               "",
		`request.start.getHours("Asia/Tokyo") == 23`:                      "",
		`request.start < timestamp("2027-01-01T00:00:00Z")`:               "",
		`request.start.getHours(person.name) == 1`:                        CodeRuleFailed,
		`1 / (request.hour - 14) == 1`:                                    CodeRuleFailed,
		`person.groups[3] == "x"`:                                         CodeRuleFailed,
		`int(request.ticket) > 1`:                                         CodeRuleFailed,
		`person != person`:                                                CodeNotEligible,
		`role == role && request == request`:                              "",
		`[person].exists(p, p == person) && type(person) == type(person)`: "",
		`has(person.email) && !has(person.name)`:                          CodeNotEligible,
		`string(role.target.port).startsWith("5432")`:                     "",
		`person == person`:                                                "",
	} {
		t.Run(eligible, func(t *testing.T) {
			t.Parallel()
			p := compiled(t, with(func(r *Rule) { r.Eligible = eligible }))
			err := p.Eligible(ana, db, ask)
			gotKind, got := kind(t, err)
			if got != want {
				t.Fatalf("code %q, want %q (%v)", got, want, err)
			}
			if want == CodeRuleFailed && !errors.Is(gotKind, access.ErrUnavailable) || want == CodeNotEligible && !errors.Is(gotKind, access.ErrNotAllowed) {
				t.Errorf("kind %v", gotKind)
			}
		})
	}
}

func TestUnknownStartOrPersonRefuses(t *testing.T) {
	t.Parallel()
	p := compiled(t, with(func(r *Rule) { r.Eligible = "request.hour >= 0"; r.AutoApprove = "request.hour >= 0" }))
	timeless := ask
	timeless.Start = time.Time{}
	if k, code := kind(t, p.Eligible(ana, db, timeless)); code != CodeRuleFailed || !errors.Is(k, access.ErrUnavailable) {
		t.Errorf("no start: %v %s", k, code)
	}
	if p.AutoApproves(ana, db, timeless) || !p.AutoApproves(ana, db, ask) {
		t.Error("approves by itself without knowing the start, or not with it")
	}
	if k, code := kind(t, p.Eligible(access.Person{}, db, ask)); code != CodeUnknownPerson || !errors.Is(k, access.ErrUnavailable) {
		t.Errorf("nobody: %v %s", k, code)
	}
	if p.AutoApproves(access.Person{}, db, ask) {
		t.Error("approves nobody")
	}
}

func TestAutoApproveFailsTowardsPeople(t *testing.T) {
	t.Parallel()
	for auto, want := range map[string]bool{
		"": false, "true": true, "false": false,
		`"oncall" in person.groups`:     false,
		`role.labels.nope == "x"`:       false,
		`role.labels.nope != "x"`:       false,
		`request.weekday == "monday"`:   true,
		`1 / 0 == 1 || person.id != ""`: true, // CEL's || does not need the side that failed
	} {
		p := compiled(t, with(func(r *Rule) { r.AutoApprove = auto }))
		if got := p.AutoApproves(ana, db, ask); got != want {
			t.Errorf("%q: %v", auto, got)
		}
	}
}

func TestWhoMayApprove(t *testing.T) {
	t.Parallel()
	two := with(func(r *Rule) {
		r.Approve = []Approval{
			{By: `"sre-leads" in person.groups`},
			{By: `role.labels.owner == person.email || person.kind == "service" && !("sre-leads" in requester.groups)`},
			{By: `role.labels.nope == person.id`},
			{By: `true`},
		}
	})
	p := compiled(t, two)
	owner := access.Person{ID: "owner", Email: "ben@example.com"}
	for name, c := range map[string]struct {
		stage                            int
		approver, requester, beneficiary access.Person
		want                             string
	}{
		"a lead":                          {0, ben, ana, ana, ""},
		"no lead":                         {0, cleo, ana, ana, CodeNotApprover},
		"own request":                     {0, ben, ben, cleo, CodeSelfApproval},
		"own benefit":                     {0, ben, ana, ben, CodeSelfApproval},
		"own both":                        {3, ben, ben, ben, CodeSelfApproval},
		"service where nobody said so":    {0, bot, ana, ana, CodeService},
		"service where kind is read":      {1, bot, ana, ana, ""},
		"service for a lead":              {1, bot, ben, ben, CodeNotApprover},
		"owner by label":                  {1, owner, ana, ana, ""},
		"rule fails":                      {2, ben, ana, ana, CodeRuleFailed},
		"no such stage":                   {4, ben, ana, ana, CodeNoStage},
		"negative stage":                  {-1, ben, ana, ana, CodeNoStage},
		"nobody approves":                 {3, access.Person{}, ana, ana, CodeUnknownPerson},
		"nobody asked":                    {3, ben, access.Person{}, ana, CodeUnknownPerson},
		"for nobody":                      {3, ben, ana, access.Person{}, CodeUnknownPerson},
		"same person, other name, groups": {3, access.Person{ID: "ana", Name: "Other", Groups: []string{"sre-leads"}}, ana, ana, CodeSelfApproval},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, got := kind(t, p.MayApprove(c.stage, c.approver, c.requester, c.beneficiary, db, ask)); got != c.want {
				t.Errorf("code %q, want %q", got, c.want)
			}
		})
	}
}

func TestNobodyEverApprovesForThemselves(t *testing.T) {
	t.Parallel()
	open := compiled(t, with(func(r *Rule) { r.Approve = []Approval{{By: `person.kind != ""`}} }))
	someone := rapid.Custom(func(t *rapid.T) access.Person {
		return access.Person{
			ID:     access.PersonID(rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "id")),
			Name:   rapid.String().Draw(t, "name"),
			Kind:   rapid.SampledFrom([]access.Kind{"", access.Human, access.Service}).Draw(t, "kind"),
			Groups: rapid.SliceOf(rapid.String()).Draw(t, "groups"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, r, b := someone.Draw(t, "approver"), someone.Draw(t, "requester"), someone.Draw(t, "beneficiary")
		err := open.MayApprove(0, a, r, b, db, ask)
		allowed := a.ID != "" && r.ID != "" && b.ID != "" && a.ID != r.ID && a.ID != b.ID
		if (err == nil) != allowed {
			t.Fatalf("%v approves for %v, asked by %v: %v", a.ID, b.ID, r.ID, err)
		}
	})
}

func TestCheckNamesLimitAndWayOut(t *testing.T) {
	t.Parallel()
	p := compiled(t, rule())
	for name, c := range map[string]struct {
		change            func(*Ask)
		field, code, text string
	}{
		"sound":               {func(*Ask) {}, "", "", ""},
		"the longest":         {func(a *Ask) { a.Duration = 4 * time.Hour }, "", "", ""},
		"no duration":         {func(a *Ask) { a.Duration = 0 }, "duration", "duration_missing", "such as 1h; the longest is 4h"},
		"negative":            {func(a *Ask) { a.Duration = -time.Hour }, "duration", "duration_missing", "4h"},
		"smallest":            {func(a *Ask) { a.Duration = math.MinInt64 }, "duration", "duration_missing", "4h"},
		"too long":            {func(a *Ask) { a.Duration = 4*time.Hour + 1 }, "duration", "duration_too_long", "Ask for 4h or less"},
		"longest there is":    {func(a *Ask) { a.Duration = math.MaxInt64 }, "duration", "duration_too_long", "4h"},
		"no words":            {func(a *Ask) { a.Justification = " \u200b " }, "justification", "justification_missing", "what you need it for"},
		"few words":           {func(a *Ask) { a.Justification = "fix\u200b\u200b\u200b\u200b\u200b it" }, "justification", "justification_too_short", "at least 10 characters, and this is 6"},
		"too many words":      {func(a *Ask) { a.Justification = strings.Repeat("é", 2001) }, "justification", "justification_too_long", "2001 characters, and 2000 is the most"},
		"as many as allowed":  {func(a *Ask) { a.Justification = strings.Repeat("é", 2000) }, "", "", ""},
		"no ticket":           {func(a *Ask) { a.Ticket = "" }, "ticket", "ticket_missing", "looks like (INC|CHG)-[0-9]+."},
		"wrong ticket":        {func(a *Ask) { a.Ticket = "JIRA-1" }, "ticket", "ticket_malformed", "“JIRA-1”"},
		"ticket with a tail":  {func(a *Ask) { a.Ticket = "INC-1 and more" }, "ticket", "ticket_malformed", "one looks like"},
		"ticket on two lines": {func(a *Ask) { a.Ticket = "INC-1\nINC-2" }, "ticket", "ticket_malformed", "one looks like"},
		"long ticket":         {func(a *Ask) { a.Ticket = "INC-" + strings.Repeat("1", 200) }, "ticket", "ticket_too_long", "200"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := ask
			c.change(&a)
			got := p.Check(a)
			if c.field == "" {
				if len(got) != 0 {
					t.Fatalf("refused: %v", got)
				}
				return
			}
			if len(got) != 1 || got[0].Field != c.field || got[0].Code != c.code || !strings.Contains(got[0].Text, c.text) || !errors.Is(got, access.ErrInvalid) {
				t.Errorf("%+v", got)
			}
		})
	}
	if all := p.Check(Ask{}); len(all) != 3 {
		t.Errorf("an empty request has %d problems: %v", len(all), all)
	}
}

func TestTicketIsMatchedWholeWhateverItsAnchors(t *testing.T) {
	t.Parallel()
	p := compiled(t, with(func(r *Rule) { r.Justification.Ticket = "INC|CHG" }))
	for ticket, ok := range map[string]bool{"INC": true, "CHG": true, "INC1": false, "xCHG": false} {
		if got := p.checkTicket(ticket) == nil; got != ok {
			t.Errorf("%s: %v", ticket, got)
		}
	}
	free := compiled(t, with(func(r *Rule) { r.Justification.Ticket = "" }))
	if free.checkTicket("") != nil || free.checkTicket("anything") != nil {
		t.Error("asks for a ticket unasked")
	}
}

func TestRunawayExpressionRefusesSoon(t *testing.T) {
	t.Parallel()
	p := compiled(t, with(func(r *Rule) {
		r.Eligible = `person.groups.all(a, person.groups.all(b, person.groups.all(c, a + b + c != "")))`
	}))
	many := ana
	for i := range 500 {
		many.Groups = append(many.Groups, fmt.Sprintf("group-%d", i))
	}
	begin := time.Now()
	err := p.Eligible(many, db, ask)
	if _, code := kind(t, err); code != CodeRuleFailed || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("%v", err)
	}
	t.Logf("given up after %s", time.Since(begin))
}

func TestPoliciesServeManyAtOnce(t *testing.T) {
	t.Parallel()
	p := compiled(t, rule())
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if p.Eligible(ana, db, ask) != nil || p.Eligible(cleo, db, ask) == nil || p.MayApprove(0, ben, ana, ana, db, ask) != nil {
					t.Error("wrong answer")
				}
			}
		})
	}
	wg.Wait()
}

func TestPeopleSelectsAndRefusesWhatFails(t *testing.T) {
	t.Parallel()
	admin, err := People(`"sre-leads" in person.groups && person.kind == "human"`)
	if err != nil {
		t.Fatal(err)
	}
	if !admin(ben) || admin(ana) || admin(bot) || admin(access.Person{}) {
		t.Error("wrong people")
	}
	failing, err := People(`person.groups[7] == "x"`)
	if err != nil || failing(ben) {
		t.Errorf("failing: %v", err)
	}
	if _, err := People(`role.id == "x"`); err == nil || !strings.Contains(err.Error(), "this expression sees person") {
		t.Errorf("%v", err)
	}
}

// catalogue is n roles, one in ten for production, and policies for them.
func catalogue(n int) ([]Rule, []access.Role) {
	roles := make([]access.Role, n)
	for i := range roles {
		env := "staging"
		if i%10 == 0 {
			env = "prod"
		}
		roles[i] = access.Role{ID: access.RoleID(fmt.Sprintf("role-%d", i)), Connector: "pg",
			Labels: map[string]string{"env": env, "team": fmt.Sprintf("team-%d", i%100)}}
	}
	rules := []Rule{rule(), with(func(r *Rule) { r.Name, r.Match = "rest", "true" })}
	for i := range 8 {
		rules = append([]Rule{with(func(r *Rule) {
			r.Name, r.Match = fmt.Sprintf("team %d", i), fmt.Sprintf(`role.labels.team == "team-%d" && role.labels.env == "prod"`, i)
		})}, rules...)
	}
	return rules, roles
}

func BenchmarkCompile10000Roles(b *testing.B) {
	rules, roles := catalogue(10_000)
	for b.Loop() {
		if s, problems := Compile(rules, roles); s == nil {
			b.Fatal(problems)
		}
	}
}

func BenchmarkDecide10000Roles(b *testing.B) {
	rules, roles := catalogue(10_000)
	s, _ := Compile(rules, roles)
	i := 0
	for b.Loop() {
		r := roles[i%len(roles)]
		i++
		p := s.For(r.ID)
		if p.Eligible(ana, r, ask) != nil || len(p.Check(ask)) > 0 || p.MayApprove(0, ben, ana, ana, r, ask) != nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkFor(b *testing.B) {
	rules, roles := catalogue(10_000)
	s, _ := Compile(rules, roles)
	for b.Loop() {
		if s.For("role-9999") == nil {
			b.Fatal("none")
		}
	}
}
