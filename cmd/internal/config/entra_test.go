package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const (
	tenantEntra = "entra: {tenant_id: 11111111-0000-4000-8000-000000000002, client_id: 11111111-0000-4000-8000-000000000003, client_secret: x}\n"
	otherEntra  = "entra: {tenant_id: 11111111-0000-4000-8000-00000000000f, client_id: 11111111-0000-4000-8000-000000000003, client_secret: x}\n"
	benObject   = "0f6e0000-0000-4000-8000-0000000000b2"
)

func admitting(entra string) string {
	return strings.Replace(entra, "client_secret", "people_group: 0f6e0000-0000-4000-8000-00000000000a, client_secret", 1)
}

// TestWhoseAccountIsWhose: the object id for Teams is that in the same tenant, and the other way round, and of no other.
func TestWhoseAccountIsWhose(t *testing.T) {
	t.Parallel()
	const ana = "0f6e0000-0000-4000-8000-0000000000a1"
	for name, c := range map[string]struct {
		entra, ben         string
		anaObject, benChat string
	}{
		"one tenant":  {tenantEntra, "entra: " + strings.ToUpper(benObject), ana, strings.ToUpper(benObject)},
		"two tenants": {otherEntra, "entra: " + benObject, "", ""},
		"no tenant":   {"", "name: Ben", "", ""},
	} {
		text := strings.NewReplacer("api:\n", c.entra+"api:\n", "id: ben, name: Ben", "id: ben, "+c.ben).Replace(sound)
		cfg, found := Parse("elevate.yaml", []byte(text), env)
		if found.Fatal() {
			t.Errorf("%s: %v", name, found)
			continue
		}
		people := cfg.Accounts()
		if got := people[0].Object; got != c.anaObject {
			t.Errorf("%s: Ana is %q", name, got)
		}
		if got := people[1].Chats["teams"]; got != c.benChat {
			t.Errorf("%s: Ben is %q in Teams", name, got)
		}
		if got := people[1].Object; (got == benObject) != (c.entra != "") {
			t.Errorf("%s: Ben is %q", name, got)
		}
	}
}

// TestEveryProblemWithTheTenantIsTold, at its key.
func TestEveryProblemWithTheTenantIsTold(t *testing.T) {
	t.Parallel()
	manager := []string{"person.id != requester.id", "person.id == requester.manager"}
	for name, c := range map[string]struct {
		change []string // old, new, old, new
		want   string   // empty: nothing
	}{
		"nothing":                    {[]string{"api:\n", tenantEntra + "api:\n"}, ""},
		"a person without a tenant":  {[]string{"slack: U0BEN", "slack: U0BEN, entra: " + benObject}, "people[1].entra: is of use beside entra only"},
		"a group without a tenant":   {[]string{"connectors:\n", "groups: {leads: {entra: " + benObject + "}}\nconnectors:\n"}, "groups.leads.entra: is of use beside entra only"},
		"a group by its name":        {[]string{"api:\n", tenantEntra + "api:\n", "connectors:\n", "groups: {leads: {entra: SRE Leads}}\nconnectors:\n"}, `groups.leads.entra: is "SRE Leads": write the object ID`},
		"a person by an address":     {[]string{"api:\n", tenantEntra + "api:\n", "slack: U0BEN", "slack: U0BEN, entra: ben@example.com"}, `people[1].entra: is "ben@example.com": write the object ID`},
		"two accounts of one person": {[]string{"api:\n", tenantEntra + "api:\n", "slack: U0ANA,", "slack: U0ANA, entra: " + benObject + ","}, "people[0].entra: is another account than teams"},
		"two of one account": {[]string{"api:\n", tenantEntra + "api:\n", "slack: U0BEN", "slack: U0BEN, entra: 0F6E0000-0000-4000-8000-0000000000A1"},
			"people[1].entra: is that of people[0] (ana) too"},
		"a second self":                   {[]string{"api:\n", admitting(tenantEntra) + "api:\n"}, "people[1].entra: is required beside entra.people_group: without it ben could be a second person"},
		"a people_group that is no group": {[]string{"api:\n", strings.Replace(tenantEntra, "client_secret", "people_group: staff, client_secret", 1) + "api:\n"}, `entra.people_group: is "staff"`},
		"nobody comes in": {[]string{"api:\n", admitting(otherEntra) + "api:\n", "slack: U0BEN", "slack: U0BEN, entra: " + benObject, "slack: U0ANA,", "slack: U0ANA, entra: 0f6e0000-0000-4000-8000-0000000000a9,"},
			"warning: entra.people_group: lets nobody act"},
		"nobody is asked about":     {[]string{"api:\n", otherEntra + "api:\n"}, "warning: entra: asks about nobody"},
		"the manager of nobody":     {manager, "policies[0].approve[1].by: reads requester.manager, and nothing says who manages whom: add entra"},
		"the manager in a tenant":   {append([]string{"api:\n", tenantEntra + "api:\n"}, manager...), ""},
		"more time than there is":   {[]string{"api:\n", strings.Replace(tenantEntra, "client_secret", "timeout: 6s, client_secret", 1) + "api:\n"}, `entra.timeout: is "6s": write 5s at most`},
		"all the time there is":     {[]string{"api:\n", strings.Replace(tenantEntra, "client_secret", "timeout: 5s, client_secret", 1) + "api:\n"}, ""},
		"a key that does not exist": {[]string{"api:\n", "entra: {tenant: x}\napi:\n"}, "entra.tenant: is not a key that belongs here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, found := Parse("elevate.yaml", []byte(strings.NewReplacer(c.change...).Replace(sound)), env)
			var said []string
			for _, p := range found {
				said = append(said, p.String())
			}
			if c.want == "" && len(said) > 0 || c.want != "" && !slices.ContainsFunc(said, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("%q, want %q", said, c.want)
			}
		})
	}
}

func TestTheTenantIsNotForThePlayground(t *testing.T) {
	t.Parallel()
	_, found := Parse("elevate.yaml", []byte(strings.Replace(sound, "api:\n", tenantEntra+"api:\n", 1)), env, "web")
	if !slices.ContainsFunc(found, func(p Problem) bool { return p.Key == "entra" && !p.Warning }) {
		t.Errorf("%v", found)
	}
}

// TestWhatTheTenantsOwnSettingsLackIsShownAtTheirKeys, and what is of no key at the block.
func TestWhatTheTenantsOwnSettingsLackIsShownAtTheirKeys(t *testing.T) {
	t.Parallel()
	cfg, _ := Parse("elevate.yaml", []byte(strings.Replace(sound, "api:\n", tenantEntra+"api:\n", 1)), env)
	found := cfg.ConnectEntra(func() error {
		return errors.Join(errors.New("cloud: write public"), errors.New("the machine has no disk: none"))
	})
	if len(found) != 2 || found[0].Line == 0 || !slices.ContainsFunc(found, func(p Problem) bool { return p.Key == "entra.cloud" && p.Text == "write public" }) ||
		!slices.ContainsFunc(found, func(p Problem) bool { return p.Key == "entra" && p.Text == "the machine has no disk: none" }) {
		t.Errorf("%v", found)
	}
	if none, _ := Parse("elevate.yaml", []byte(sound), env); none.ConnectEntra(func() error { return errors.New("asked") }) != nil {
		t.Error("a tenant that is not configured is made")
	}
}

// TestGroupsOfTheTenantAreAskedAbout, with the one that makes people.
func TestGroupsOfTheTenantAreAskedAbout(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("api:\n", admitting(tenantEntra)+"api:\n", "slack: U0BEN", "slack: U0BEN, entra: "+benObject,
		"connectors:\n", "groups: {leads: {entra: "+strings.ToUpper(benObject)+"}}\nconnectors:\n").Replace(sound)
	cfg, found := Parse("elevate.yaml", []byte(text), env)
	if found.Fatal() || !cfg.Live() || cfg.ObjectChat() != "teams" || cfg.ObjectSubjects() {
		t.Errorf("%v", found)
	}
	if got := cfg.EntraGroups(); !slices.Equal(got, []string{"0f6e0000-0000-4000-8000-00000000000a", benObject}) {
		t.Errorf("%q", got)
	}
	if groups := cfg.LiveGroups(); len(groups) != 1 || groups[0].Object != benObject {
		t.Errorf("%+v", groups)
	}
}
