package config

import "time"

const (
	mostLimit       = 1_000_000
	longestCoolDown = 24 * time.Hour
)

func (c *checker) checkLimits() {
	l := &c.Limits
	c.limit("person", &l.Person, 10)
	c.limit("workspace", &l.Workspace, 100)
	c.limit("pending", &l.Pending, 3)
	c.limit("acts", &l.Acts, 60)
	c.span("limits.window", &l.Window, time.Minute)
	at := path{"limits", "cool_down"}
	switch {
	case !c.doc.has(at):
		l.CoolDown = 5 * time.Minute
	case l.CoolDown < 0 || l.CoolDown > longestCoolDown:
		c.problem(at, "is %s: write a time up to 24h, 0s for none, or leave the key out for 5m", c.doc.quote(at))
	}
	if l.Person > l.Workspace && l.Workspace > 0 && c.doc.has(path{"limits", "workspace"}) {
		c.warning(path{"limits", "workspace"}, "is %d: one person may send off %d, and so keep all others from asking", l.Workspace, l.Person)
	}
}

// limit checks a number that may be 0, for none.
func (c *checker) limit(key string, value *int, byDefault int) {
	at := path{"limits", key}
	switch {
	case !c.doc.has(at):
		*value = byDefault
	case *value < 0 || *value > mostLimit:
		c.problem(at, "is %d: write 1 to %d, 0 for no limit, or leave the key out for %d", *value, mostLimit, byDefault)
	}
}
