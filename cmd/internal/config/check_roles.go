package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"elevate/bot"
	"elevate/workflows/access"
	"elevate/workflows/policy"
)

// roleID keeps look-alike letters out of what people type and approve.
var roleID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

func (c *checker) connectorNames() []string {
	return slices.Sorted(maps.Keys(c.Connectors))
}

func (c *checker) checkRoles() {
	for _, name := range c.connectorNames() {
		at := path{"connectors", name}
		if !roleID.MatchString(name) {
			c.problem(at, "is no name for a connector: write up to 63 small letters, digits and . _ -, beginning with a letter or digit")
		}
		if c.Connectors[name].Type == "" {
			c.problem(at.key("type"), "is required: what kind of target it is")
		}
	}
	if len(c.Roles) == 0 {
		c.problem(path{"roles"}, "is required: list what can be asked for")
	}
	first := map[access.RoleID]int{}
	for i, r := range c.Roles {
		at := path{"roles"}.index(i)
		c.checkRole(at, r)
		if j, taken := first[r.ID]; taken && r.ID != "" {
			c.problem(at.key("id"), "is the id of roles[%d] too", j)
			continue
		}
		first[r.ID] = i
	}
}

func (c *checker) checkRole(at path, r access.Role) {
	c.form(at.key("id"), string(r.ID), roleID, true, "up to 63 small letters, digits and . _ -, beginning with a letter or digit")
	if bot.Reserved(r.ID) {
		c.problem(at.key("id"), "is %q, and commands begin with that word, so nobody could ask for the role by typing it: choose another", r.ID)
	}
	for key, text := range map[string]string{"title": r.Title, "description": r.Description} {
		if policy.CleanText(text) != text {
			c.problem(at.key(key), "must be on one line, without invisible or control characters")
		}
	}
	switch _, known := c.Connectors[r.Connector]; {
	case r.Connector == "":
		c.problem(at.key("connector"), "is required; connectors are: %s", strings.Join(c.connectorNames(), ", "))
	case !known:
		c.problem(at.key("connector"), "is %s, and there is no such connector; connectors are: %s", c.doc.quote(at.key("connector")), strings.Join(c.connectorNames(), ", "))
	}
	if _, empty := r.Labels[""]; empty {
		c.problem(at.key("labels"), "has a label without a name")
	}
}

func (c *checker) checkPolicies() {
	set, problems := policy.Compile(c.Policies, c.Roles)
	for _, p := range problems {
		at := path{"policies"}
		switch {
		case p.Rule >= 0:
			at = at.index(p.Rule).key(parsePath(p.Key)...)
		case p.Role != "":
			at = path{"roles"}.index(slices.IndexFunc(c.Roles, func(r access.Role) bool { return r.ID == p.Role }))
		}
		if p.Warning {
			c.warning(at, "%s", p.Text)
		} else {
			c.problem(at, "%s", p.Text)
		}
	}
	c.Set = set
	for i, rule := range c.Policies {
		at := path{"policies"}.index(i)
		for j, stage := range rule.Approve {
			if key := at.key("approve").index(j).key("count"); stage.Count == 0 && c.doc.has(key) {
				c.problem(key, "is 0: write how many people must approve, or leave the key out for 1")
			}
		}
		c.checkChannels(at.key("channel"), rule.Channel)
	}
}

func (c *checker) checkChannels(at path, channels map[string]string) {
	for chat, channel := range channels {
		at := at.key(chat)
		switch {
		case !slices.Contains(c.chats, chat):
			c.problem(at, "is of a chat that this version does not speak; it speaks: %s", strings.Join(c.chats, ", "))
		case channel == "":
			c.problem(at, "is empty: write the channel, or leave the key out")
		default:
			c.checkChannel(at, chat, channel)
		}
	}
}

func (c *checker) checkDigest() {
	d := c.Digest
	if d == nil {
		return
	}
	at := path{"digest"}
	if t, err := time.Parse("15:04", d.At); err != nil {
		c.problem(at.key("at"), "is %s: write the time of day as in \"09:00\"", c.doc.quote(at.key("at")))
	} else {
		d.Hour, d.Minute = t.Hour(), t.Minute()
	}
	c.fill("digest.timezone", &d.Timezone, "UTC")
	var err error
	if d.Location, err = time.LoadLocation(d.Timezone); err != nil || d.Timezone == "Local" {
		c.problem(at.key("timezone"), "is %s: write a time zone such as Europe/Lisbon", c.doc.quote(at.key("timezone")))
	}
	if len(d.Channel) == 0 {
		c.problem(at.key("channel"), "is required: where the digest goes, as in {slack: C0ACCESS}")
	}
	c.checkChannels(at.key("channel"), d.Channel)
}

// selector compiles an expression over person; nil where there is none.
func (c *checker) selector(key, text string) func(access.Person) bool {
	if !c.doc.has(path{key}) {
		return nil
	}
	f, err := policy.People(text)
	for _, e := range separate(err) {
		c.problem(path{key}, "%v", e)
	}
	return f
}
