package policy

import (
	"fmt"
	"strings"
	"time"

	"elevate/workflows/access"
)

// checkRule finds what is wrong with a rule apart from its expressions.
func (c *compiler) checkRule(r Rule) {
	switch {
	case r.Name == "":
		c.problem("name", "is required: audit and messages name the policy")
	case len([]rune(r.Name)) > longestName || CleanText(r.Name) != r.Name:
		c.problem("name", "must be at most %d characters on one line, none of them invisible", longestName)
	}
	c.checkDurations(r)
	c.checkJustification(r.Justification)
	c.checkStages(r)
	c.checkStepUp("step_up.request", r.StepUp.Request)
	c.checkStepUp("step_up.approve", r.StepUp.Approve)
	if m := r.StepUp.Approve; (m == access.TOTP || m == access.WebAuthn) && strings.TrimSpace(r.AutoApprove) == "true" {
		c.problem("step_up.approve", "is %s, and auto_approve leaves nobody to ask for it: write it at step_up.request, or take auto_approve out", m)
	}
}

// checkStepUp refuses what nobody could prove.
func (c *compiler) checkStepUp(key string, m access.Method) {
	switch m {
	case access.NoFactor, noFactor, access.TOTP, access.WebAuthn:
	default:
		c.problem(key, "is %q: write totp, webauthn, or none", string(m))
	}
}

func (c *compiler) checkDurations(r Rule) {
	d := r.Duration
	if d.Max == 0 {
		c.problem("duration.max", "is required and longer than 0: write the longest grant, such as 4h")
	} else {
		c.checkSpan("duration.max", d.Max)
	}
	c.checkSpan("duration.default", d.Default)
	c.checkSpan("duration.max_total", d.MaxTotal)
	if d.Max > 0 && d.Default > d.Max {
		c.problem("duration.default", "is %s, longer than duration.max (%s)", spell(d.Default), spell(d.Max))
	}
	if d.MaxTotal > 0 && d.MaxTotal < d.Max {
		c.problem("duration.max_total", "is %s, shorter than duration.max (%s); it counts the grant with its extensions", spell(d.MaxTotal), spell(d.Max))
	}
	c.checkSpan("start_within", r.StartWithin)
	c.checkSpan("remind_after", r.RemindAfter)
}

// checkSpan refuses what is negative, shorter than can be meant, or longer than 30 days. Zero is left to its meaning.
func (c *compiler) checkSpan(key string, d time.Duration) {
	switch {
	case d < 0:
		c.problem(key, "is %s: write a time longer than 0", spell(d))
	case d > 0 && d < minAsk:
		c.problem(key, "is %s: a second is the shortest there is", d)
	case d > maxDuration:
		c.problem(key, "is %s: 30 days (720h) is the longest there is", spell(d))
	}
}

func (c *compiler) checkJustification(j Justification) {
	bound := func(key string, n int) {
		if n < 0 || n > longestText {
			c.problem(key, "is %d: write a number of characters up to %d", n, longestText)
		}
	}
	bound("justification.min_length", j.MinLength)
	bound("justification.max_length", j.MaxLength)
	if j.MaxLength > 0 && j.MinLength > j.MaxLength {
		c.problem("justification.min_length", "is %d, more than justification.max_length (%d)", j.MinLength, j.MaxLength)
	}
}

func (c *compiler) checkStages(r Rule) {
	if len(r.Approve) == 0 && strings.TrimSpace(r.AutoApprove) != "true" {
		c.problem("approve", "has no stage, so a request that is not approved by itself never could be; add one, or write auto_approve: \"true\"")
	}
	longest := time.Duration(0)
	for i, a := range r.Approve {
		if a.Count < 0 || a.Count > mostApprovals {
			c.problem(fmt.Sprintf("approve[%d].count", i), "is %d: write how many people must approve, 1 to %d", a.Count, mostApprovals)
		}
		c.checkSpan(fmt.Sprintf("approve[%d].within", i), a.Within)
		if a.Within == 0 {
			a.Within = defaultWithin
		}
		longest = max(longest, a.Within)
	}
	if r.RemindAfter >= longest && longest > 0 {
		c.problem("remind_after", "is %s, and no stage lasts that long (%s): nobody would be reminded", spell(r.RemindAfter), spell(longest))
	}
}

// spell writes a duration as people type it: 4h, 1h30m, 45s.
func spell(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
