package config

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/directory"
	"elevate/workflows/policy"
)

// OIDC is the identity provider that people sign in at, to show who they are.
type OIDC struct {
	Issuer       string // as the provider writes it, to the letter
	ClientID     string
	ClientSecret access.Secret // empty: a public client, with PKCE alone
	Name         string        // what people call the provider; default: its host
	// Scopes are asked for beside openid: for claims that the provider gives only when asked, and offline_access for a refresh
	// token, with which groups are asked for at the moment of the click.
	Scopes       []string
	SubjectClaim string // that people[].oidc is compared with; default sub
	GroupsClaim  string // default groups
	// GroupsFor is how long the groups of a sign-in count after it, where they cannot be asked for again. Default: 1m.
	GroupsFor time.Duration
	// TrustEmail lets somebody be the person whose address the provider has confirmed. Default false.
	TrustEmail bool
}

// Offline tells whether the provider is asked for groups while people are away.
func (o *OIDC) Offline() bool { return slices.Contains(o.Scopes, "offline_access") }

// Group is a group whose members are kept elsewhere, beside those that people name.
type Group struct {
	SlackUsergroup string // the id of a user group: S…
	OIDC           string // the group's name among the claims
	Entra          string // the group's object id in the tenant of entra; whoever is in it through other groups is in it
}

var usergroupID = regexp.MustCompile(`^S[A-Z0-9]+$`)

func (c *checker) checkIdentity() {
	if c.OIDC != nil {
		c.checkOIDC(c.OIDC)
	}
	if c.Slack != nil && c.Slack.TrustEmail {
		c.warning(path{"slack", "trust_email"}, "lets Slack's word on e-mail addresses decide who somebody is, and with it whoever administers the workspace or its sign-in: %s",
			"links that people make by signing in (oidc, then /elevate link) are certain, as are member IDs in people")
	}
	for i, p := range c.People {
		at := path{"people"}.index(i).key("oidc")
		if p.OIDC != "" && c.OIDC == nil {
			c.problem(at, "is of use beside oidc only: add that, or leave the key out")
		}
		if policy.CleanText(p.OIDC) != p.OIDC {
			c.problem(at, "must be on one line, without invisible or control characters")
		}
	}
	c.checkShared("oidc", "one identity, one person, or one could approve for the other", func(p Person) string { return c.subject(p) })
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		c.checkGroup(path{"groups", name}, name, c.Groups[name])
	}
}

func (c *checker) checkOIDC(o *OIDC) {
	at := path{"oidc"}
	switch u, ok := webURL(o.Issuer); {
	case o.Issuer == "" && !c.silenced(at.key("issuer")):
		c.problem(at.key("issuer"), "is required: the provider's address, as its /.well-known/openid-configuration writes issuer")
	case o.Issuer == "":
	case !ok || u.RawQuery != "" || u.Fragment != "" || strings.Contains(o.Issuer, "/.well-known/"):
		c.problem(at.key("issuer"), "must be a whole address without user name, ?, # and /.well-known/…, such as https://login.example.com")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.problem(at.key("issuer"), "is %s: who people are needs https, except on this machine itself", c.doc.quote(at.key("issuer")))
	default:
		c.OIDC.Name = cmp.Or(o.Name, u.Host)
	}
	if o.ClientID == "" && !c.silenced(at.key("client_id")) {
		c.problem(at.key("client_id"), "is required: Elevate's client ID at the provider")
	}
	switch u, err := url.Parse(c.HTTP.PublicURL); {
	case c.HTTP.PublicURL == "":
		c.problem(at, "needs http.public_url: the provider sends browsers back there, to /signin/callback")
	case err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()):
		c.problem(path{"http", "public_url"}, "is %s: oidc needs https there, except on this machine itself", c.doc.quote(path{"http", "public_url"}))
	case err == nil && u.Path != "":
		c.problem(path{"http", "public_url"}, "must have no path where there is oidc: its pages are at /signin and /link")
	}
	c.fill("oidc.subject_claim", &o.SubjectClaim, "sub")
	c.fill("oidc.groups_claim", &o.GroupsClaim, "groups")
	if o.GroupsFor < 0 || o.GroupsFor > 30*24*time.Hour || o.GroupsFor == 0 && c.doc.has(at.key("groups_for")) {
		c.problem(at.key("groups_for"), "is %s: write a time longer than 0 and up to 720h, or leave the key out for 1m", c.doc.quote(at.key("groups_for")))
	}
	chosen := o.GroupsFor > 0
	o.GroupsFor = cmp.Or(o.GroupsFor, time.Minute)
	claimed := slices.ContainsFunc(slices.Collect(maps.Values(c.Groups)), func(g Group) bool { return g.OIDC != "" })
	switch {
	case o.Offline() && len(c.Secrets.Keys) == 0 && !c.silenced(path{"secrets", "keys"}):
		c.problem(at.key("scopes"), "has offline_access, which needs secrets.keys: refresh tokens lie in Redis sealed")
	case claimed && !o.Offline() && !chosen:
		c.problem(at.key("scopes"), "has no offline_access, so the groups of people's claims cannot be asked for again after a sign-in: add it, and they are asked for at the moment of the click; or write oidc.groups_for, the time that they count after a sign-in, knowing that whoever is taken out of a group may act as its member for that long")
	case claimed && !o.Offline():
		c.warning(at.key("scopes"), "has no offline_access, so the groups of people's claims are those of their last sign-in: they count for %s after it (groups_for), and then nothing is done for the person until they sign in again with /elevate link",
			o.GroupsFor)
	}
	if o.TrustEmail {
		c.warning(at.key("trust_email"), "lets whoever can have the provider confirm an address be the person who has it: where you can, write what the provider calls each person into people[].oidc")
	} else if !slices.ContainsFunc(c.People, func(p Person) bool { return c.subject(p) != "" }) && !(c.objectSubjects() && c.Entra.PeopleGroup != "") {
		c.problem(at, "would let nobody sign in: write what the provider calls each person (the claim %s) into people[].oidc", o.SubjectClaim)
	}
}

func (c *checker) checkGroup(at path, name string, g Group) {
	if name == "" || policy.CleanText(name) != name {
		c.problem(at, "must be a name on one line, without invisible or control characters")
	}
	c.form(at.key("slack_usergroup"), g.SlackUsergroup, usergroupID, false, "the user group's ID, which begins with S (in Slack: People → User groups, the group, ⋮, Copy group ID)")
	switch {
	case g == Group{}:
		c.problem(at, "says nobody: give it slack_usergroup, entra, or oidc with the group's name in the claims; groups of the configuration alone belong into people")
	case g.SlackUsergroup != "" && c.Slack == nil:
		c.problem(at.key("slack_usergroup"), "is of use beside slack only")
	case g.OIDC != "" && c.OIDC == nil:
		c.problem(at.key("oidc"), "is of use beside oidc only")
	}
}

// subject is what the identity provider calls somebody. Entra's object ids, which people have for Teams or to be looked up
// there, are among what it can be asked to say.
func (c *Config) subject(p Person) string {
	if p.OIDC != "" || c.OIDC == nil {
		return p.OIDC
	}
	if c.objectSubjects() && c.object(p) != "" {
		return c.object(p)
	}
	entra := c.OIDC.SubjectClaim == "oid" && c.Teams != nil && strings.Contains(strings.ToLower(c.OIDC.Issuer), strings.ToLower(c.Teams.TenantID))
	if entra && c.Teams.TenantID != "" {
		return strings.ToLower(p.Teams)
	}
	return ""
}

// Live tells whether who people are is also learned from others than the file.
func (c *Config) Live() bool {
	return c.OIDC != nil || c.Entra != nil || len(c.Groups) > 0 || c.Slack != nil && c.Slack.TrustEmail
}

// LiveGroups are the groups that are kept elsewhere, by name.
func (c *Config) LiveGroups() []directory.Group {
	var out []directory.Group
	for _, name := range slices.Sorted(maps.Keys(c.Groups)) {
		g := directory.Group{Name: name, Claim: c.Groups[name].OIDC, Object: strings.ToLower(c.Groups[name].Entra)}
		if id := c.Groups[name].SlackUsergroup; id != "" {
			g.Chat, g.Usergroup = "slack", id
		}
		out = append(out, g)
	}
	return out
}

// Usergroups are the ids of the user groups that are asked for.
func (c *Config) Usergroups() []string {
	var ids []string
	for _, g := range c.LiveGroups() {
		if g.Usergroup != "" {
			ids = append(ids, g.Usergroup)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
