package activedirectory_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"elevate/connectors"
	"elevate/connectors/activedirectory"
	"elevate/workflows/access"
)

func wrongCertificateIsRefused(t *testing.T, d *domain) {
	p, _ := d.person(t)
	r, _ := d.role(t)
	for name, test := range map[string]struct {
		change func(*activedirectory.Config)
		as     any // what errors.As finds; the library's StartTLS keeps the words alone
	}{
		"LDAPS, from nobody we trust":    {func(cfg *activedirectory.Config) { cfg.CAFile = "" }, new(x509.UnknownAuthorityError)},
		"StartTLS, from nobody we trust": {func(cfg *activedirectory.Config) { cfg.CAFile, cfg.Controllers = "", []string{d.PlainURL()} }, nil},
		"LDAPS, for another name": {func(cfg *activedirectory.Config) {
			cfg.Controllers = []string{strings.Replace(d.Front(t).URL, "127.0.0.1", "localhost", 1)}
		}, new(x509.HostnameError)},
	} {
		c := d.connector(t, test.change)
		_, err := c.Activate(t.Context(), d.grant(p, r))
		wantError(t, name, err, connectors.Unavailable, "certificate")
		if test.as != nil && !errors.As(err, test.as) {
			t.Errorf("%s: the error does not say what is wrong with the certificate: %v", name, err)
		}
		wantError(t, name, c.Check(t.Context()), connectors.Unavailable, "certificate")
	}
}

func startTLSComesBeforeThePassword(t *testing.T, d *domain) {
	c := d.at(t, d.PlainURL()) // Samba, told to, refuses a password without it
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	d.wantHolds(t, who, group, true)
	deactivate(t, c, g, receipt, access.Removed)
	d.wantHolds(t, who, group, false)
}

func downControllerIsPassedOver(t *testing.T, d *domain) {
	down := d.Front(t)
	down.Close()
	c := d.at(t, down.URL, d.URL())
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	d.wantHolds(t, who, group, true)
	if _, err := c.Holders(t.Context(), r); err != nil {
		t.Errorf("Holders: %v", err)
	}
	deactivate(t, c, g, receipt, access.Removed)
	d.wantHolds(t, who, group, false)
	wantError(t, "the check with a controller that is down", c.Check(t.Context()), connectors.Unavailable, strings.TrimPrefix(down.URL, "ldaps://"))
}

func nothingIsGoneThatAnotherControllerMayHave(t *testing.T, d *domain) {
	down := d.Front(t)
	down.Close()
	c := d.at(t, d.URL(), down.URL)
	p, _ := d.person(t)
	r, _ := d.role(t)
	g := d.grant(p, r)
	_, err := c.Deactivate(t.Context(), g, access.Receipt{})
	wantError(t, "Deactivate where one controller is down and the other has nothing", err, connectors.Unavailable, "cannot be reached")

	over := access.Receipt{NativeEnd: time.Now().Add(-time.Minute)}
	deactivate(t, c, g, over, access.Absent) // its own end has passed there too
	both := d.at(t, d.URL(), d.Front(t).URL)
	deactivate(t, both, g, access.Receipt{}, access.Absent)
}

func directoryEndsWhatElevateCannot(t *testing.T, d *domain) {
	f := d.Front(t)
	f.ExpireMemberships()
	c := d.at(t, f.URL)
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	if late := receipt.NativeEnd.Sub(g.End); late <= 0 || late > 5*time.Minute {
		t.Fatalf("the directory's end is %v after the grant's", late)
	}
	if !connectors.Describe(c).NativeExpiry {
		t.Error("the connector does not say that the directory ends access by itself")
	}
	if err := f.EndIn(group.DN, who.DN, time.Millisecond); err != nil { // what it was told, sooner
		t.Fatal(err)
	}
	d.Eventually(t, "the directory ends the membership", func() bool { return !d.Holds(t, who.DN, group) })
	deactivate(t, c, g, receipt, access.Absent)
	if marks := d.Values(t, group.DN, "nonSecurityMember"); len(marks) > 0 {
		t.Errorf("marks are left: %v", marks)
	}
}

func laterGrantMovesTheEnd(t *testing.T, d *domain) {
	f := d.Front(t)
	f.ExpireMemberships()
	c := d.at(t, f.URL)
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	activate(t, c, g)
	g.End = g.End.Add(2 * time.Hour) // as an extension does
	if receipt := activate(t, c, g); receipt.Already || !receipt.NativeEnd.After(g.End) {
		t.Errorf("receipt %+v of a grant that ends at %v", receipt, g.End)
	}
	earlier := d.grant(p, r)
	if receipt := activate(t, c, earlier); receipt.Already {
		t.Errorf("receipt %+v of an overlapping grant", receipt)
	}
	deactivate(t, c, g, access.Receipt{}, access.Removed)
	d.wantHolds(t, who, group, false)
}

func forgottenEndIsElevatesToKeep(t *testing.T, d *domain) {
	f := d.Front(t)
	f.ExpireMemberships()
	f.ForgetEnds()
	c := d.at(t, f.URL)
	p, who := d.person(t)
	r, group := d.role(t)
	g := d.grant(p, r)
	receipt := activate(t, c, g)
	if !receipt.NativeEnd.IsZero() {
		t.Errorf("the connector says that the directory ends at %v what it does not", receipt.NativeEnd)
	}
	deactivate(t, c, g, receipt, access.Removed)
	d.wantHolds(t, who, group, false)
}

func tailIsNoLongerThanTheMembership(t *testing.T, d *domain) {
	f := d.Front(t)
	f.ExpireMemberships()
	for name, test := range map[string]struct {
		url         string
		least, most time.Duration
	}{
		"a membership without an end": {d.URL(), 10 * time.Hour, 10 * time.Hour},
		"one that ends in an hour":    {f.URL, 50 * time.Minute, 65 * time.Minute},
	} {
		c := d.at(t, test.url)
		p, _ := d.person(t)
		r, _ := d.role(t)
		g := d.grant(p, r)
		removal := deactivate(t, c, g, activate(t, c, g), access.Removed)
		if removal.Tail < test.least || removal.Tail > test.most {
			t.Errorf("%s: the tail is %v, want %v to %v", name, removal.Tail, test.least, test.most)
		}
	}
}
