package config

import (
	"slices"
	"strings"
	"time"

	"elevate/workflows/access"
	"elevate/workflows/directory"
)

// Entra is the tenant of Microsoft Entra ID that people are looked up in: whether their accounts are in order, which groups
// they are in, and who manages them. What its settings mean beyond that, the one that asks says; see ConnectEntra.
type Entra struct {
	TenantID        string // a GUID
	ClientID        string // of an application that may read users and groups, and nothing else
	Credential      string // secret, certificate, workload or managed; empty: whichever of the next two there is
	ClientSecret    access.Secret
	CertificateFile string
	// PeopleGroup is the object ID of a group whose members are people without being listed in the file. Empty: nobody is.
	PeopleGroup string
	Cloud       string        // public, usgov, usgov-dod or china; default public
	GraphURL    string        `yaml:"graph_url"` // another one in tests
	LoginURL    string        `yaml:"login_url"`
	CAFile      string        `yaml:"ca_file"`
	Timeout     time.Duration // of each question; default 5s, which is the most
}

const objectForm = "the object ID in Entra, " + guidForm

func (c *checker) checkEntra() {
	for i, p := range c.People {
		at := path{"people"}.index(i).key("entra")
		c.form(at, p.Entra, guid, false, objectForm)
		switch {
		case p.Entra == "":
		case c.Entra == nil:
			c.problem(at, "is of use beside entra only: add that, or leave the key out")
		case c.sameTenant() && p.Teams != "" && !strings.EqualFold(p.Teams, p.Entra):
			c.problem(at, "is another account than teams, which is of the same tenant: write one of the two")
		}
	}
	for name, g := range c.Groups {
		at := path{"groups", name}.key("entra")
		c.form(at, g.Entra, guid, false, objectForm+"; names change hands")
		if g.Entra != "" && c.Entra == nil {
			c.problem(at, "is of use beside entra only")
		}
	}
	if c.Entra == nil {
		c.checkManagers()
		return
	}
	at := path{"entra"}
	if !slices.Contains(c.chats, "teams") {
		c.problem(at, "does not belong here: this program does not ask Entra")
	}
	c.form(at.key("people_group"), c.Entra.PeopleGroup, guid, false, objectForm)
	if c.Entra.Timeout > directory.AskTime {
		c.problem(at.key("timeout"), "is %s: write %v at most, for whoever has clicked waits that long and no longer", c.doc.quote(at.key("timeout")), directory.AskTime)
	}
	c.checkShared("entra", "one account, one person, or one could approve for the other", c.object)
	asked := slices.ContainsFunc(c.People, func(p Person) bool { return c.object(p) != "" })
	if c.Entra.PeopleGroup != "" {
		c.checkAdmission(at.key("people_group"))
	} else if !asked {
		c.warning(at, "asks about nobody: write object IDs into people[].entra, or people_group")
	}
}

// checkAdmission keeps those whom a group admits from being somebody of the file, too.
func (c *checker) checkAdmission(at path) {
	for i, p := range c.People {
		if p.Kind == access.Human && c.object(p) == "" {
			c.problem(path{"people"}.index(i).key("entra"),
				"is required beside entra.people_group: without it %s could be a second person by that group, and approve for the first", p.ID)
		}
	}
	if !c.sameTenant() && !c.objectSubjects() {
		c.warning(at, "lets nobody act: its members come in by Teams of the same tenant, or by signing in (oidc with subject_claim: oid and an issuer of the same tenant)")
	}
}

// checkManagers finds policies that have the manager decide, where nobody can say who that is.
func (c *checker) checkManagers() {
	if c.Set == nil {
		return
	}
	for i, rule := range c.Policies {
		for j := range rule.Approve {
			if c.Set.AsksManager(i, j) {
				c.problem(path{"policies"}.index(i).key("approve").index(j).key("by"), "reads requester.manager, and nothing says who manages whom: add entra")
			}
		}
	}
}

// ConnectEntra makes what asks the tenant, where there is one. The problems are those of its settings.
func (c *Config) ConnectEntra(construct func() error) Problems {
	if c.Entra == nil {
		return nil
	}
	found := newFindings(c.file)
	known := keysOf(c.Entra)
	for _, e := range separate(construct()) {
		at, text := path{"entra"}, e.Error()
		if key, rest, ok := strings.Cut(text, ": "); ok && known[key] {
			at, text = at.key(key), rest
		}
		found.problem(at, "%s", text)
	}
	return found.sorted()
}

// sameTenant tells whether Teams' accounts are those of the tenant that is asked.
func (c *Config) sameTenant() bool {
	return c.Entra != nil && c.Teams != nil && c.Entra.TenantID != "" && strings.EqualFold(c.Entra.TenantID, c.Teams.TenantID)
}

// objectSubjects tells whether people sign in by their object ids in the tenant that is asked.
func (c *Config) objectSubjects() bool {
	return c.Entra != nil && c.OIDC != nil && c.OIDC.SubjectClaim == "oid" && c.Entra.TenantID != "" &&
		strings.Contains(strings.ToLower(c.OIDC.Issuer), strings.ToLower(c.Entra.TenantID))
}

// object is somebody's account in the tenant; empty where none is written down.
func (c *Config) object(p Person) string {
	switch {
	case c.Entra == nil:
		return ""
	case p.Entra == "" && c.sameTenant():
		return strings.ToLower(p.Teams)
	}
	return strings.ToLower(p.Entra)
}

// teamsAccount is somebody's account in Teams.
func (c *Config) teamsAccount(p Person) string {
	if p.Teams == "" && c.sameTenant() {
		return p.Entra
	}
	return p.Teams
}

// ObjectChat is the chat whose accounts are those of the tenant that is asked; empty: none is.
func (c *Config) ObjectChat() string {
	if c.sameTenant() {
		return "teams"
	}
	return ""
}

// ObjectSubjects tells whether whoever signs in is called by their object id in the tenant that is asked.
func (c *Config) ObjectSubjects() bool { return c.objectSubjects() }

// EntraGroups are the ids of the groups that the tenant is asked about.
func (c *Config) EntraGroups() []string {
	var ids []string
	for _, g := range c.LiveGroups() {
		ids = append(ids, g.Object)
	}
	if c.Entra != nil {
		ids = append(ids, strings.ToLower(c.Entra.PeopleGroup))
	}
	slices.Sort(ids)
	return slices.DeleteFunc(slices.Compact(ids), func(id string) bool { return id == "" })
}
