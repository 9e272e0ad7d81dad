package activedirectory_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/connectors/activedirectory/sambatest"
)

// pageRights tries what Elevate's account can do with what the page's script gives it, without the connector.
func pageRights(t *testing.T, d *domain) {
	_, who := d.person(t)
	r, group := d.role(t)
	other := d.group(t)
	if err := d.plain(t).CheckRole(t.Context(), r); err != nil {
		t.Errorf("CheckRole: %v", err)
	}
	bot, err := d.Login(botAccount, sambatest.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = bot.Close() }()
	for name, test := range map[string]struct {
		dn, attribute, value string
		may                  bool
	}{
		"fill a group that it gives":      {group.DN, "member", who.DN, true},
		"fill another":                    {other.DN, "member", who.DN, false},
		"fill Domain Admins":              {"CN=Domain Admins,CN=Users," + sambatest.Base, "member", who.DN, false},
		"describe a group that it gives":  {group.DN, "description", "x", false},
		"describe an account":             {who.DN, "description", "x", false},
		"change the rights on that group": {group.DN, "managedBy", who.DN, false},
	} {
		m := ldap.NewModifyRequest(test.dn, nil)
		m.Add(test.attribute, []string{test.value})
		err := bot.Modify(m)
		if test.may && err != nil || !test.may && !ldap.IsErrorWithCode(err, ldap.LDAPResultInsufficientAccessRights) {
			t.Errorf("the account may %s: want %t, the controller says: %v", name, test.may, err)
		}
	}
	_, marked := d.person(t)
	d.Change(t, group.DN, func(m *ldap.ModifyRequest) { m.Add("nonSecurityMember", []string{marked.DN}) })
	d.wantHolds(t, marked, group, false) // a mark alone is no access

	surplus, err := d.plain(t).Surplus(t.Context())
	if err != nil || slices.ContainsFunc(surplus, func(s string) bool { return !strings.Contains(s, "is no group in the domain") }) {
		t.Errorf("what the page gives is surplus: %q, %v", surplus, err)
	}
}

func missingRights(t *testing.T, d *domain) {
	bare := d.group(t)
	half := d.group(t)
	d.Delegate(t, d.bot, half.DN, "member")
	protected := d.group(t)
	d.Change(t, protected.DN, func(m *ldap.ModifyRequest) { m.Replace("adminCount", []string{"1"}) })
	c := d.connector(t, func(cfg *activedirectory.Config) { cfg.Groups = []string{bare.GUID, half.GUID, protected.GUID} })
	wantError(t, "CheckRole without rights", c.CheckRole(t.Context(), roleOf(bare)), connectors.Denied,
		bare.DN, "dsacls", ":RPWP;member", ":RPWP;nonSecurityMember")
	wantError(t, "CheckRole without the mark", c.CheckRole(t.Context(), roleOf(half)), connectors.Denied, ":RPWP;nonSecurityMember")
	wantError(t, "CheckRole of a protected group", c.CheckRole(t.Context(), roleOf(protected)), connectors.Denied, "protected")
	p, _ := d.person(t)
	_, err := c.Activate(t.Context(), d.grant(p, roleOf(half)))
	wantError(t, "Activate without the mark", err, connectors.Denied)
	if len(d.Values(t, half.DN, "member")) > 0 {
		t.Error("a membership was written without its mark")
	}
}

func surplusRights(t *testing.T, d *domain) {
	_, group := d.role(t)
	mighty := d.user(t, "svc-mighty")
	d.Join(t, "CN=Account Operators,CN=Builtin,"+sambatest.Base, mighty.DN)
	d.Delegate(t, mighty, group.DN, "member", "nonSecurityMember", "description")
	d.Delegate(t, mighty, "CN=Domain Admins,CN=Users,"+sambatest.Base, "member")
	d.Change(t, "CN=Domain Admins,CN=Users,"+sambatest.Base, func(m *ldap.ModifyRequest) { m.Replace("adminCount", []string{"1"}) })
	c := d.connector(t, func(cfg *activedirectory.Config) {
		cfg.Bind, cfg.Groups = "svc-mighty@"+sambatest.Realm, []string{group.GUID, "00000000-0000-0000-0000-000000000001"}
	})
	surplus, err := c.Surplus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range [][]string{{"Account Operators"}, {"more attributes", group.DN}, {"member of CN=Domain Admins", "not in groups"}, {"00000000-0000-0000-0000-000000000001"}} {
		if !slices.ContainsFunc(surplus, func(s string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
		}) {
			t.Errorf("no line speaks of %q: %q", words, surplus)
		}
	}
}

func featureIsTold(t *testing.T, d *domain) {
	f := d.Front(t)
	f.ExpireMemberships()
	for url, there := range map[string]bool{d.URL(): false, f.URL: true} {
		c := d.at(t, url)
		advice, err := c.Advice(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		missed := slices.ContainsFunc(advice, func(s string) bool { return strings.Contains(s, "no Privileged Access Management Feature") })
		if missed == there || connectors.Describe(c).NativeExpiry != there {
			t.Errorf("the feature is there: %t; advice %q, capabilities %+v", there, advice, connectors.Describe(c))
		}
	}
}

func protectedGroupsAreTold(t *testing.T, d *domain) {
	protected := d.group(t)
	d.Change(t, protected.DN, func(m *ldap.ModifyRequest) { m.Replace("adminCount", []string{"1"}) })
	c := d.connector(t, func(cfg *activedirectory.Config) { cfg.Groups = []string{protected.GUID} })
	advice, err := c.Advice(t.Context())
	if err != nil || !slices.ContainsFunc(advice, func(s string) bool { return strings.Contains(s, protected.DN) && strings.Contains(s, "AdminSDHolder") }) {
		t.Errorf("advice: %q, %v", advice, err)
	}
}
