package activedirectory_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/connectors/activedirectory/sambatest"
	"elevate/workflows/access"
)

func standingAccessOfAnyKindIsLeftAlone(t *testing.T, d *domain) {
	c := d.plain(t)
	for name, plant := range map[string]func(who, group sambatest.Object){
		"as a member": func(who, group sambatest.Object) { d.Join(t, group.DN, who.DN) },
		"through another group": func(who, group sambatest.Object) {
			inner := d.group(t)
			d.Join(t, group.DN, inner.DN)
			d.Join(t, inner.DN, who.DN)
		},
		"through two others": func(who, group sambatest.Object) {
			outer, inner := d.group(t), d.group(t)
			d.Join(t, group.DN, outer.DN)
			d.Join(t, outer.DN, inner.DN)
			d.Join(t, inner.DN, who.DN)
		},
		"as its primary group": func(who, group sambatest.Object) { d.makePrimary(t, who, group) },
		"as the primary group that is in the group": func(who, group sambatest.Object) {
			inner := d.group(t)
			d.makePrimary(t, who, inner)
			d.Join(t, group.DN, inner.DN)
		},
	} {
		p, who := d.person(t)
		r, group := d.role(t)
		plant(who, group)
		g := d.grant(p, r)
		receipt := activate(t, c, g)
		if !receipt.Already {
			t.Errorf("%s: standing access is not reported", name)
		}
		if len(d.Values(t, group.DN, "nonSecurityMember")) > 0 {
			t.Errorf("%s: standing access was marked as ours", name)
		}
		deactivate(t, c, g, receipt, access.Standing)
		deactivate(t, c, g, access.Receipt{}, access.Standing)
		d.wantHolds(t, who, group, true)
	}
}

func (d *domain) makePrimary(t *testing.T, who, group sambatest.Object) {
	t.Helper()
	d.Join(t, group.DN, who.DN)
	token := d.Values(t, group.DN, "primaryGroupToken")
	d.Change(t, who.DN, func(m *ldap.ModifyRequest) { m.Replace("primaryGroupID", token) })
}

func heldThroughAnotherGrantStaysWithIt(t *testing.T, d *domain) {
	c := d.plain(t)
	p, who := d.person(t)
	outerRole, outer := d.role(t)
	innerRole, inner := d.role(t)
	d.Join(t, outer.DN, inner.DN)
	through := d.grant(p, innerRole)
	throughReceipt := activate(t, c, through)
	g := d.grant(p, outerRole)
	receipt := activate(t, c, g)
	if receipt.Already {
		t.Error("access through another grant passes for standing access")
	}
	deactivate(t, c, g, receipt, access.Shared)
	d.wantHolds(t, who, outer, true)
	deactivate(t, c, through, throughReceipt, access.Removed)
	d.wantHolds(t, who, outer, false)
}

func standingAccessGivenMeanwhileStays(t *testing.T, d *domain) {
	f := d.Front(t)
	c := d.at(t, f.URL)
	p, who := d.person(t)
	r, group := d.role(t)
	f.BeforeNext(func() { d.Join(t, group.DN, who.DN) }) // Samba answers the connector's change with 68
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	if !receipt.Already {
		t.Error("access that an administrator gave meanwhile passes for ours")
	}
	deactivate(t, c, g, receipt, access.Standing)
	d.wantHolds(t, who, group, true)
}

func whatSomebodyElseTookAwayIsGone(t *testing.T, d *domain) {
	f := d.Front(t)
	c := d.at(t, f.URL)
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	f.BeforeNext(func() { d.Leave(t, group.DN, who.DN) }) // Samba answers with 53
	deactivate(t, c, g, receipt, access.Removed)
	d.wantHolds(t, who, group, false)
	if marks := d.Values(t, group.DN, "nonSecurityMember"); len(marks) > 0 {
		t.Errorf("marks are left: %v", marks)
	}
}

// settledBeforeIsBelievedAfterALook answers in another controller's words: by code, where the change had been made before,
// as when an answer was lost, and where it had not.
func settledBeforeIsBelievedAfterALook(t *testing.T, d *domain) {
	f := d.Front(t)
	c := d.at(t, f.URL)
	for _, code := range []uint16{ldap.LDAPResultEntryAlreadyExists, ldap.LDAPResultAttributeOrValueExists} {
		p, who := d.person(t)
		r, group := d.role(t)
		g := d.grant(p, r)
		f.BeforeNext(func() { activate(t, d.plain(t), g) })
		f.AnswerNext(code)
		if receipt := activate(t, c, g); receipt.Already {
			t.Errorf("%d: what we gave before passes for standing access", code)
		}
		f.BeforeNext(func() { deactivate(t, d.plain(t), g, access.Receipt{}, access.Removed) })
		f.AnswerNext(map[uint16]uint16{68: 53, 20: 16}[code])
		deactivate(t, c, g, access.Receipt{}, access.Removed)
		d.wantHolds(t, who, group, false)

		f.AnswerNext(code) // and nothing was done
		_, err := c.Activate(t.Context(), g)
		wantError(t, fmt.Sprintf("Activate that was answered with %d", code), err, connectors.Unavailable)
	}
	f.AnswerNext(ldap.LDAPResultInsufficientAccessRights)
	p, _ := d.person(t)
	r, _ := d.role(t)
	_, err := c.Activate(t.Context(), d.grant(p, r))
	wantError(t, "Activate without rights", err, connectors.Denied)
}

func renamesAreFollowed(t *testing.T, d *domain) {
	c := d.plain(t)
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	d.Move(t, who.DN, "Bo, née \"Other\"")
	d.Change(t, `CN=Bo\, née \"Other\",CN=Users,`+sambatest.Base, func(m *ldap.ModifyRequest) { m.Replace("sAMAccountName", []string{"renamed"}) })
	d.Move(t, group.DN, "Renamed group")
	renamed := d.Find(t, "CN=Renamed group,CN=Users,"+sambatest.Base)
	holders, err := c.Holders(t.Context(), r)
	if want := (connectors.Holder{Account: "renamed", Ours: true, Ref: receipt.Ref}); err != nil || len(holders) != 1 || holders[0] != want {
		t.Errorf("Holders: %+v, %v; want %+v", holders, err, want)
	}
	deactivate(t, c, g, receipt, access.Removed)
	d.wantHolds(t, d.Find(t, `CN=Bo\, née \"Other\",CN=Users,`+sambatest.Base), renamed, false)
	if left := d.Values(t, renamed.DN, "nonSecurityMember"); len(left) > 0 {
		t.Errorf("marks are left: %v", left)
	}
}

func whatWasDeletedIsGone(t *testing.T, d *domain) {
	c := d.plain(t)
	p, who := d.person(t)
	r, _ := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	d.Delete(t, who.DN)
	deactivate(t, c, g, receipt, access.Absent)
	deactivate(t, c, g, access.Receipt{}, access.Absent)

	p, _ = d.person(t)
	r, group := d.role(t)
	g = d.grant(p, r)
	receipt = activate(t, c, g)
	d.Delete(t, group.DN)
	deactivate(t, c, g, receipt, access.Absent)
	deactivate(t, c, g, access.Receipt{}, access.Absent)
}

func anotherDomainsGrantIsNotGone(t *testing.T, d *domain) {
	c := d.plain(t)
	p, _ := d.person(t)
	r, _ := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	here, rest, _ := strings.Cut(receipt.Ref, "/")
	elsewhere := access.Receipt{Ref: strings.Map(func(c rune) rune {
		if c == '0' {
			return '1'
		}
		return c
	}, here[:8]) + "-0000-0000-0000-000000000000/" + rest}
	_, err := c.Deactivate(t.Context(), g, elsewhere)
	wantError(t, "Deactivate of another domain's grant", err, connectors.Unavailable, "controllers")
	deactivate(t, c, g, receipt, access.Removed)
}

func groupsOutsideTheListAreNeverGiven(t *testing.T, d *domain) {
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, d.plain(t), g)
	without := d.connector(t, func(cfg *activedirectory.Config) {
		cfg.Groups = slices.DeleteFunc(cfg.Groups, func(id string) bool { return id == group.GUID })
	})
	if err := without.CheckTarget(r.Target); err == nil || !strings.HasPrefix(err.Error(), "target.group: ") {
		t.Errorf("a group outside the list passes the check: %v", err)
	}
	_, err := without.Activate(t.Context(), d.grant(p, r))
	wantError(t, "Activate of a group outside the list", err, connectors.Invalid, "groups")
	deactivate(t, without, g, receipt, access.Removed)
	d.wantHolds(t, who, group, false)
}

func unfitAccountsAndGroupsAreRefused(t *testing.T, d *domain) {
	c := d.plain(t)
	p, who := d.person(t)
	r, group := d.role(t)

	_, err := c.Activate(t.Context(), d.grant(person(strings.ToUpper(p.Account("ad"))), r))
	wantError(t, "an account spelt otherwise", err, connectors.Invalid, p.Account("ad"))
	_, err = c.Activate(t.Context(), d.grant(person(who.DN), r))
	wantError(t, "a distinguished name", err, connectors.NotFound)
	_, err = c.Activate(t.Context(), d.grant(person("*"), r))
	wantError(t, "a pattern", err, connectors.NotFound)

	byPrincipal := d.connector(t, func(cfg *activedirectory.Config) { cfg.Account = "userPrincipalName" })
	g := d.grant(person(p.Account("ad")+"@"+sambatest.Realm), r)
	deactivate(t, byPrincipal, g, activate(t, byPrincipal, g), access.Removed)

	g = d.grant(p, r)
	receipt := activate(t, c, g)
	d.Change(t, who.DN, func(m *ldap.ModifyRequest) { m.Replace("userAccountControl", []string{"514"}) })
	_, err = c.Activate(t.Context(), d.grant(p, r))
	wantError(t, "a disabled account", err, connectors.Invalid, "disabled")
	deactivate(t, c, g, access.Receipt{}, access.Removed)
	deactivate(t, c, g, receipt, access.Absent)

	d.Change(t, group.DN, func(m *ldap.ModifyRequest) { m.Replace("groupType", []string{"2"}) })
	other, _ := d.person(t)
	_, err = c.Activate(t.Context(), d.grant(other, r))
	wantError(t, "a distribution group", err, connectors.Invalid, "distribution")
	wantError(t, "the check of a distribution group", c.CheckRole(t.Context(), r), connectors.Invalid, "distribution")

	_, err = c.Activate(t.Context(), d.grant(other, roleOf(who)))
	wantError(t, "an account in a group's place", err, connectors.Invalid)
}

func holdersListsWhoReallyHolds(t *testing.T, d *domain) {
	c := d.plain(t)
	r, group := d.role(t)
	innerRole, inner := d.role(t)
	d.Join(t, group.DN, inner.DN)
	given, _ := d.person(t)
	direct, directUser := d.person(t)
	nested, nestedUser := d.person(t)
	primary, primaryUser := d.person(t)
	through, _ := d.person(t)
	_, unrelated := d.person(t)
	activate(t, c, d.grant(given, r))
	activate(t, c, d.grant(through, innerRole)) // ours, of the inner group's role
	d.Join(t, group.DN, directUser.DN)
	d.Join(t, inner.DN, nestedUser.DN)
	d.makePrimary(t, primaryUser, inner)
	d.Join(t, d.group(t).DN, unrelated.DN)

	holders, err := c.Holders(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, h := range holders {
		got = append(got, fmt.Sprintf("%s %t", h.Account, h.Ours))
	}
	for who, ours := range map[string]bool{given.Account("ad"): true, direct.Account("ad"): false, nested.Account("ad"): false, primary.Account("ad"): false} {
		want = append(want, fmt.Sprintf("%s %t", who, ours))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("Holders: %q, want %q", got, want)
	}
}

// A machine stands for what Elevate gave to an account that is in another domain now: no user account here has its name.
func nameless(t *testing.T, d *domain) {
	c := d.plain(t)
	r, group := d.role(t)
	machine := d.Find(t, "CN=DC1,OU=Domain Controllers,"+sambatest.Base)
	d.Change(t, group.DN, func(m *ldap.ModifyRequest) {
		m.Add("member", []string{machine.DN})
		m.Add("nonSecurityMember", []string{machine.DN})
	})
	holders, err := c.Holders(t.Context(), r)
	if err != nil || len(holders) != 1 || holders[0] != (connectors.Holder{Account: machine.DN, Ours: true, Ref: holders[0].Ref}) {
		t.Fatalf("Holders: %+v, %v", holders, err)
	}
	deactivate(t, c, d.grant(person(holders[0].Account), r), access.Receipt{}, access.Removed) // as the sweep does
	if left := d.Values(t, group.DN, "member"); len(left) > 0 {
		t.Errorf("members are left: %v", left)
	}
}

func longListsAreReadToTheirEnd(t *testing.T, d *domain) {
	f := d.Front(t)
	f.Ranges(2)
	f.ExpireMemberships()
	c := d.at(t, f.URL)
	r, _ := d.role(t)
	for range 5 {
		p, _ := d.person(t)
		if receipt := activate(t, c, d.grant(p, r)); receipt.Already || receipt.NativeEnd.IsZero() {
			t.Errorf("receipt %+v of a membership at the end of a long list", receipt)
		}
	}
	holders, err := c.Holders(t.Context(), r)
	if err != nil || len(holders) != 5 {
		t.Errorf("Holders: %v, %v; want all five", holders, err)
	}
}
