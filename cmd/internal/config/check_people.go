package config

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"

	"elevate/workflows/access"
	"elevate/workflows/policy"
)

var personID = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,126}$`)

const personForm = "small letters, digits and . _ @ + -, beginning with a letter or digit"

func (c *checker) peopleByID() map[access.PersonID]int {
	out := make(map[access.PersonID]int, len(c.People))
	for i, p := range slices.Backward(c.People) { // of namesakes, the first
		out[p.ID] = i
	}
	return out
}

func (c *checker) checkPeople() {
	if len(c.People) == 0 {
		c.problem(path{"people"}, "is required: list whoever may ask or approve")
	}
	first := c.peopleByID()
	for i, p := range c.People {
		at := path{"people"}.index(i)
		c.form(at.key("id"), string(p.ID), personID, true, personForm)
		if p.ID == access.System {
			c.problem(at.key("id"), "is %q, the name under which this program itself acts: choose another", p.ID)
		}
		if j := first[p.ID]; j != i && p.ID != "" {
			c.problem(at.key("id"), "is the id of people[%d] too: ids name one person each", j)
		}
		if policy.CleanText(p.Name) != p.Name {
			c.problem(at.key("name"), "must be on one line, without invisible or control characters")
		}
		if policy.MixesAlphabets(p.Name) {
			c.warning(at.key("name"), "has letters of different alphabets in one word, some of which look like others: write it anew, lest people take it for another name")
		}
		c.People[i].Kind = c.kind(at.key("kind"), p.Kind)
		if a, err := mail.ParseAddress(p.Email); p.Email != "" && (err != nil || a.Address != p.Email) {
			c.problem(at.key("email"), "is %s: write an address such as ana@example.com", c.doc.quote(at.key("email")))
		}
		c.form(at.key("slack"), p.Slack, userID, false, "the member ID, which begins with U or W (in Slack: profile, ⋮, Copy member ID)")
		c.form(at.key("teams"), p.Teams, guid, false, "the person's object ID in Entra, "+guidForm)
		c.checkGroups(at.key("groups"), p.Groups)
	}
	c.checkLookalikes()
	const linked = "one account, one person, or one could approve for the other"
	c.checkShared("email", "one person, one entry, or one could approve for the other", func(p Person) string {
		if p.Kind == access.Service { // a team's mailbox may serve several programs
			return ""
		}
		return strings.ToLower(p.Email)
	})
	c.checkShared("slack", linked, func(p Person) string { return p.Slack })
	c.checkShared("teams", linked, func(p Person) string { return strings.ToLower(c.teamsAccount(p)) })
	c.checkShared("web", linked, func(p Person) string { return p.Web })
	c.checkAccounts()
}

// checkLookalikes warns of people whom a message would not tell apart but for their ids.
func (c *checker) checkLookalikes() {
	seen := map[string]int{}
	for i, p := range c.People {
		look := policy.Skeleton(p.Name)
		if look == "" {
			continue
		}
		if j, taken := seen[look]; taken {
			c.warning(path{"people"}.index(i).key("name"), "looks like that of people[%d] (%s): messages tell the two apart by their ids alone", j, c.People[j].ID)
			continue
		}
		seen[look] = i
	}
}

func (c *checker) kind(at path, k access.Kind) access.Kind {
	switch k {
	case "":
		return access.Human
	case access.Human, access.Service:
	default:
		c.problem(at, "is %s: write %s or %s", c.doc.quote(at), access.Human, access.Service)
	}
	return k
}

func (c *checker) checkGroups(at path, groups []string) {
	for i, g := range groups {
		if g == "" || policy.CleanText(g) != g {
			c.problem(at.index(i), "must be a name on one line, without invisible or control characters")
		}
		if slices.Index(groups, g) < i {
			c.problem(at.index(i), "is listed twice")
		}
	}
}

// checkShared finds values of a key that two people have.
func (c *checker) checkShared(key, why string, value func(Person) string) {
	first := map[string]int{}
	for i, p := range c.People {
		v := value(p)
		if v == "" {
			continue
		}
		if j, taken := first[v]; taken {
			c.problem(path{"people"}.index(i).key(key), "is that of people[%d] (%s) too: %s", j, c.People[j].ID, why)
			continue
		}
		first[v] = i
	}
}

// checkAccounts checks the accounts at targets: of known connectors, and nobody else's.
func (c *checker) checkAccounts() {
	connectors := map[string]bool{}
	for _, p := range c.People {
		for name := range p.Accounts {
			connectors[name] = true
		}
	}
	for name := range connectors {
		owner := map[string]int{}
		for i, p := range c.People {
			account := (access.Person{ID: p.ID, Accounts: p.Accounts}).Account(name)
			if j, taken := owner[account]; taken && p.ID != c.People[j].ID {
				c.checkTaken(name, account, i, j)
				continue
			}
			owner[account] = i
		}
	}
	for i, p := range c.People {
		for name, account := range p.Accounts {
			at := path{"people"}.index(i).key("accounts", name)
			if _, known := c.Connectors[name]; !known {
				c.problem(at, "is of no connector; connectors are: %s", strings.Join(c.connectorNames(), ", "))
			}
			if account == "" {
				c.problem(at, "is empty: write the account's name at the target, or leave the key out for %s", p.ID)
			}
		}
	}
}

// checkTaken reports that two people have one account at a target, at the one of them who has it written down.
func (c *checker) checkTaken(connector, account string, i, j int) {
	if c.People[i].Accounts[connector] == "" {
		i, j = j, i
	}
	c.problem(path{"people"}.index(i).key("accounts", connector),
		"%q is the account of people[%d] (%s) too: each would hold what the other was given", account, j, c.People[j].ID)
}
