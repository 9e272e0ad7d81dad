package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"elevate/workflows/access"
)

var (
	ana  = access.Person{ID: "ana", Name: "Ana Lima", Email: "ana@example.com", Groups: []string{"sre"}}
	ben  = access.Person{ID: "ben", Name: "Ben", Kind: access.Human, Groups: []string{"sre", "sre-leads"}}
	cleo = access.Person{ID: "cleo", Groups: []string{"dba"}}
	bot  = access.Person{ID: "bot", Kind: access.Service, Groups: []string{"sre-leads"}}

	db = access.Role{ID: "prod-db-admin", Title: "Production database admin", Connector: "pg",
		Target: map[string]any{"role": "db_admin", "port": float64(5432)},
		Labels: map[string]string{"env": "prod", "owner": "ben@example.com"}}
	bare = access.Role{ID: "bare", Connector: "pg"}

	monday = time.Date(2026, 11, 23, 14, 30, 0, 0, time.UTC)
	ask    = Ask{Duration: time.Hour, Justification: "fix replication", Ticket: "INC-4711", Start: monday}
)

// rule is a sound policy to change one thing of.
func rule() Rule {
	return Rule{
		Name: "production", Match: `role.labels.env == "prod"`, Eligible: `"sre" in person.groups`,
		Duration:      Duration{Default: time.Hour, Max: 4 * time.Hour},
		Justification: Justification{MinLength: 10, Ticket: `^(INC|CHG)-[0-9]+$`},
		Approve:       []Approval{{By: `"sre-leads" in person.groups`, Count: 2, Within: 30 * time.Minute}},
	}
}

func with(change func(*Rule)) Rule {
	r := rule()
	change(&r)
	return r
}

// compiled is the policy of db when the rules are sound.
func compiled(t testing.TB, r Rule) *Policy {
	t.Helper()
	r.Match = "true"
	s, problems := Compile([]Rule{r}, []access.Role{db, bare})
	if s == nil {
		t.Fatalf("does not compile: %+v", problems)
	}
	return s.For(db.ID)
}

func TestEveryProblemIsReportedWithItsKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule      Rule
		key, text string
	}{
		"no name":          {with(func(r *Rule) { r.Name = "" }), "name", "is required"},
		"hidden in name":   {with(func(r *Rule) { r.Name = "a\u200bb" }), "name", "invisible"},
		"long name":        {with(func(r *Rule) { r.Name = strings.Repeat("x", 64) }), "name", "63 characters"},
		"no match":         {with(func(r *Rule) { r.Match = "" }), "match", "is required"},
		"no eligible":      {with(func(r *Rule) { r.Eligible = " " }), "eligible", "is required"},
		"syntax":           {with(func(r *Rule) { r.Eligible = `"sre" in` }), "eligible", "Syntax error"},
		"unknown field":    {with(func(r *Rule) { r.Eligible = `person.emial == "x"` }), "eligible", "undefined field 'emial'; person has id, name, email, kind, groups"},
		"second line":      {with(func(r *Rule) { r.Eligible = "true &&\n  person.x == ''" }), "eligible", "(line 2, character 9 of the expression)"},
		"wrong type":       {with(func(r *Rule) { r.Eligible = `person.groups == "sre"` }), "eligible", "no matching overload"},
		"not a bool":       {with(func(r *Rule) { r.Eligible = `person.name` }), "eligible", "must be true or false"},
		"dyn":              {with(func(r *Rule) { r.Eligible = `role.target.role` }), "eligible", "must be true or false"},
		"person in match":  {with(func(r *Rule) { r.Match = `"sre" in person.groups` }), "match", "undeclared reference to 'person'; this expression sees role (character"},
		"requester early":  {with(func(r *Rule) { r.Eligible = `requester.id == "x"` }), "eligible", "sees person, role, request"},
		"bad by":           {with(func(r *Rule) { r.Approve[0].By = `persn.id == "x"` }), "approve[0].by", "undeclared reference"},
		"bad auto":         {with(func(r *Rule) { r.AutoApprove = `1` }), "auto_approve", "must be true or false"},
		"bad regexp":       {with(func(r *Rule) { r.Eligible = `person.id.matches("(")` }), "eligible", "no regular expression (character"},
		"bad duration":     {with(func(r *Rule) { r.Eligible = `request.duration < duration("4 hours")` }), "eligible", "1h30m"},
		"bad weekday":      {with(func(r *Rule) { r.Eligible = `request.weekday in ["mon"]` }), "eligible", `"mon", and weekdays are monday`},
		"bad weekday ==":   {with(func(r *Rule) { r.Eligible = `request.weekday != "Sunday"` }), "eligible", `"Sunday", and weekdays are`},
		"bad zone":         {with(func(r *Rule) { r.Eligible = `request.start.getHours("Europe/Lisbonne") > 8` }), "eligible", "no such time zone"},
		"match fails":      {with(func(r *Rule) { r.Match = `role.target.role == "db_admin"` }), "match", "fails on bare: no such key: role"},
		"too long":         {with(func(r *Rule) { r.Eligible = "true" + strings.Repeat(" ", longestExpression) }), "eligible", "size"},
		"no max":           {with(func(r *Rule) { r.Duration.Max = 0; r.Duration.Default = 0 }), "duration.max", "is required"},
		"negative max":     {with(func(r *Rule) { r.Duration.Max = -time.Hour }), "duration.max", "is -1h"},
		"long max":         {with(func(r *Rule) { r.Duration.Max = 721 * time.Hour }), "duration.max", "30 days (720h)"},
		"tiny max":         {with(func(r *Rule) { r.Duration = Duration{Max: 5} }), "duration.max", "a second"},
		"long default":     {with(func(r *Rule) { r.Duration.Default = 5 * time.Hour }), "duration.default", "is 5h, longer than duration.max (4h)"},
		"short total":      {with(func(r *Rule) { r.Duration.MaxTotal = time.Hour }), "duration.max_total", "is 1h, shorter"},
		"min above max":    {with(func(r *Rule) { r.Justification.MaxLength = 5 }), "justification.min_length", "more than"},
		"negative min":     {with(func(r *Rule) { r.Justification.MinLength = -1 }), "justification.min_length", "is -1"},
		"huge max":         {with(func(r *Rule) { r.Justification.MaxLength = 3001 }), "justification.max_length", "up to 3000"},
		"bad ticket":       {with(func(r *Rule) { r.Justification.Ticket = "(INC" }), "justification.ticket", "is no regular expression: missing closing )"},
		"no stage":         {with(func(r *Rule) { r.Approve = nil }), "approve", "has no stage"},
		"auto, sometimes":  {with(func(r *Rule) { r.Approve = nil; r.AutoApprove = "request.hour > 8" }), "approve", "has no stage"},
		"negative count":   {with(func(r *Rule) { r.Approve[0].Count = -1 }), "approve[0].count", "1 to 20"},
		"negative within":  {with(func(r *Rule) { r.Approve[0].Within = -1 }), "approve[0].within", "longer than 0"},
		"useless reminder": {with(func(r *Rule) { r.RemindAfter = time.Hour }), "remind_after", "nobody would be reminded"},
		"no such factor":   {with(func(r *Rule) { r.StepUp.Request = "sms" }), "step_up.request", `is "sms": write totp, webauthn, or none`},
		"key of nobody":    {with(func(r *Rule) { r.AutoApprove, r.StepUp.Approve = "true", access.WebAuthn }), "step_up.approve", "is webauthn, and auto_approve leaves nobody to ask"},
		"factor of nobody": {with(func(r *Rule) { r.AutoApprove, r.StepUp.Approve = "true", access.TOTP }), "step_up.approve", "leaves nobody to ask"},
		"negative start":   {with(func(r *Rule) { r.StartWithin = -1 }), "start_within", "longer than 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, problems := Compile([]Rule{c.rule}, []access.Role{bare, db})
			if s != nil {
				t.Error("a broken rule gave a set")
			}
			for _, p := range problems {
				if p.Rule == 0 && p.Key == c.key && strings.Contains(p.Text, c.text) && !p.Warning {
					return
				}
			}
			t.Errorf("no problem with %q about %q among %+v", c.key, c.text, problems)
		})
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	broken := Rule{Match: "role.nope", Eligible: "1", Approve: []Approval{{By: ""}, {By: "person.nope == 1", Count: -1}}, AutoApprove: "x"}
	_, problems := Compile([]Rule{broken, rule(), rule()}, []access.Role{db})
	var got []string
	for _, p := range problems {
		got = append(got, p.Key)
	}
	for _, key := range []string{"name", "duration.max", "match", "eligible", "approve[0].by", "approve[1].by", "approve[1].count", "auto_approve"} {
		if !strings.Contains(strings.Join(got, " "), key) {
			t.Errorf("nothing about %s in %+v", key, problems)
		}
	}
	last := problems[len(problems)-1]
	if last.Rule != 2 || last.Key != "name" || !strings.Contains(last.Text, "policies[1]") {
		t.Errorf("namesakes: %+v", last)
	}
}

func TestRoleWithoutPolicyIsAProblem(t *testing.T) {
	t.Parallel()
	s, problems := Compile([]Rule{rule()}, []access.Role{db, bare})
	if s != nil || len(problems) != 1 || problems[0].Rule != -1 || problems[0].Role != "bare" || !strings.Contains(problems[0].Text, "no policy governs role bare") {
		t.Errorf("set %v, problems %+v", s, problems)
	}
}

func TestSlipsAreWarningsAndStartAllTheSame(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		with(func(r *Rule) { r.Name, r.Eligible = "a", `has(role.labels.envv)` }),
		with(func(r *Rule) { r.Name, r.Match = "shadowed", `role.labels["env"] == "prod"` }),
		with(func(r *Rule) { r.Name, r.Match = "last", "true" }),
		with(func(r *Rule) { r.Name, r.Match = "spare last resort", "true" }),
	}
	s, problems := Compile(rules, []access.Role{db, bare})
	if s == nil || len(problems) != 2 || !problems[0].Warning || !problems[1].Warning {
		t.Fatalf("set %v, problems %+v", s, problems)
	}
	if problems[0].Key != "eligible" || !strings.Contains(problems[0].Text, `label "envv", which no role has; roles have: env`) {
		t.Errorf("label: %+v", problems[0])
	}
	if _, problems := Compile([]Rule{with(func(r *Rule) { r.Match, r.Eligible = "true", rules[0].Eligible })}, []access.Role{bare}); len(problems) != 1 || !strings.HasSuffix(problems[0].Text, "no role has; no role has labels") {
		t.Errorf("label, and there are none: %+v", problems)
	}
	if problems[1].Rule != 1 || problems[1].Key != "match" || !strings.Contains(problems[1].Text, "governs no role") {
		t.Errorf("shadowed: %+v", problems[1])
	}
}

func TestFirstTrueMatchGoverns(t *testing.T) {
	t.Parallel()
	staging := access.Role{ID: "staging", Labels: map[string]string{"env": "staging"}}
	empty := access.Role{ID: "empty", Labels: map[string]string{"env": ""}}
	for match, want := range map[string]string{ // which of the roles it governs
		`role.labels.env == "prod"`:                         "prod-db-admin",
		`role.labels.env != "prod"`:                         "staging bare empty",
		`role.labels["env"] == "staging"`:                   "staging",
		`role.labels.env == ""`:                             "bare empty",
		`has(role.labels.env)`:                              "prod-db-admin staging empty",
		`"env" in role.labels`:                              "prod-db-admin staging empty",
		`!("env" in role.labels)`:                           "bare",
		`role.labels.?env == optional.of("prod")`:           "prod-db-admin",
		`role.labels[?"env"].orValue("x") == "x"`:           "bare",
		`role.labels.exists(l, l == "owner")`:               "prod-db-admin",
		`role.labels.env.startsWith("s")`:                   "staging",
		`role.connector == "pg"`:                            "prod-db-admin bare",
		`role.target.?role == optional.of("x")`:             "",
		`has(role.target.port) && role.target.port == 5432`: "prod-db-admin",
		`role.id in ["staging", "bare"]`:                    "staging bare",
		`["env"].all(k, role.labels[k] == "prod")`:          "prod-db-admin",
		`role.title == ""`:                                  "staging bare empty",
	} {
		t.Run(match, func(t *testing.T) {
			t.Parallel()
			s, problems := Compile([]Rule{
				with(func(r *Rule) { r.Match = match }),
				with(func(r *Rule) { r.Name, r.Match = "rest", "true" }),
			}, []access.Role{db, staging, bare, empty})
			if s == nil {
				t.Fatalf("%+v", problems)
			}
			var got []string
			for _, id := range []access.RoleID{db.ID, "staging", "bare", "empty"} {
				if s.For(id).Name() == "production" {
					got = append(got, string(id))
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("governs %q, want %q", got, want)
			}
			if s.For("unknown") != nil {
				t.Error("a role outside the catalogue has a policy")
			}
		})
	}
}

func TestHashTellsRulesApart(t *testing.T) {
	t.Parallel()
	hash := func(rules ...Rule) string {
		s, problems := Compile(rules, []access.Role{db})
		if s == nil {
			t.Fatalf("%+v", problems)
		}
		return s.Hash()
	}
	other := with(func(r *Rule) { r.Name, r.Match = "other", "true" })
	seen := map[string]bool{}
	for _, h := range []string{
		hash(rule()), hash(rule(), other), hash(other, rule()),
		hash(with(func(r *Rule) { r.Approve[0].Count = 1 })),
		hash(with(func(r *Rule) { r.Channel = map[string]string{"slack": "C0"} })),
	} {
		if seen[h] || len(h) != 64 {
			t.Errorf("hash %q is not new", h)
		}
		seen[h] = true
	}
	if first, again := hash(rule()), hash(rule()); first != again {
		t.Error("equal rules, different hashes")
	}
}

func TestChannelOfAPolicyByName(t *testing.T) {
	t.Parallel()
	s, _ := Compile([]Rule{with(func(r *Rule) { r.Match, r.Channel = "true", map[string]string{"slack": "C0"} })}, []access.Role{db})
	for _, c := range [][3]string{{"production", "slack", "C0"}, {"production", "web", ""}, {"gone", "slack", ""}} {
		if got := s.Channel(c[0], c[1]); got != c[2] {
			t.Errorf("%s in %s: %q", c[0], c[1], got)
		}
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := compiled(t, Rule{Name: "x", Eligible: "true", Duration: Duration{Max: 20 * time.Minute}, Approve: []Approval{{By: "true"}}})
	stages := p.Stages()
	if p.Default() != 20*time.Minute || p.MaxTotal() != 20*time.Minute || p.StartWithin() != 30*time.Minute ||
		len(stages) != 1 || stages[0] != (access.Stage{By: "true", Count: 1, Within: 8 * time.Hour}) || p.RemindAfter(0) != 4*time.Hour ||
		p.RemindAfter(1) != 0 || p.RemindAfter(-1) != 0 || p.Rule().Justification.MaxLength != 2000 {
		t.Errorf("%+v", p.Rule())
	}
	long := compiled(t, with(func(r *Rule) { r.Duration = Duration{Max: 20 * 24 * time.Hour}; r.RemindAfter = 10 * time.Minute }))
	if long.Default() != time.Hour || long.MaxTotal() != 20*24*time.Hour || long.RemindAfter(0) != 10*time.Minute {
		t.Errorf("%+v", long.Rule())
	}
}

// kind is the kind and code of a refusal, or "" for nil.
func kind(t *testing.T, err error) (error, string) {
	t.Helper()
	if err == nil {
		return nil, ""
	}
	var r *access.Refusal
	if !errors.As(err, &r) || r.Text == "" {
		t.Fatalf("%#v is no refusal with a text", err)
	}
	return r.Kind, r.Code
}
