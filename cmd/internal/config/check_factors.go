package config

import (
	"slices"

	"elevate/workflows/access"
	"elevate/workflows/factor"
	"elevate/workflows/passkey"
	"elevate/workflows/seal"
)

func (c *checker) checkSecrets() {
	byID, byKey := map[string]int{}, map[string]int{}
	for i, k := range c.Secrets.Keys {
		at := path{"secrets", "keys"}.index(i)
		if err := seal.CheckID(k.ID); err != nil {
			c.problem(at.key("id"), "%v", err)
		}
		if first, taken := byID[k.ID]; taken {
			c.problem(at.key("id"), "is the id of secrets.keys[%d] too", first)
		}
		byID[k.ID] = i
		if c.silenced(at.key("key")) {
			continue
		}
		if err := seal.CheckKey(k.Key); err != nil {
			c.problem(at.key("key"), "%v", err)
		} else if first, taken := byKey[k.Key.Reveal()]; taken {
			c.problem(at.key("key"), "is that of secrets.keys[%d] too: to replace a key, put a new one first", first)
		}
		byKey[k.Key.Reveal()] = i
	}
}

// fewestAdministrators is how many it takes to reset the factor of one of them.
const fewestAdministrators = 3

// checkFactors finds what second factors want, where a policy asks for them.
func (c *checker) checkFactors() {
	c.fill("totp.issuer", &c.TOTP.Issuer, "Elevate")
	if err := factor.CheckIssuer(c.TOTP.Issuer); err != nil {
		c.problem(path{"totp", "issuer"}, "%v", err)
	}
	if u, ok := webURL(c.HTTP.PublicURL); ok && len(c.Secrets.Keys) > 0 && u.Scheme == "http" && !isLoopback(u.Hostname()) {
		c.problem(path{"http", "public_url"}, "must begin with https://: the keys of second factors are shown below it")
	}
	asked := c.asksFactor()
	if asked == nil {
		return
	}
	if key := c.asks(access.WebAuthn); key != nil && c.HTTP.PublicURL != "" {
		if err := passkey.CheckURL(c.HTTP.PublicURL); err != nil {
			c.problem(path{"http", "public_url"}, "%v; %s asks for them", err, key)
		}
	}
	if len(c.Secrets.Keys) == 0 {
		c.problem(asked, "needs a key that seals people's second factors: write one at secrets.keys, made with `openssl rand -base64 32`")
	}
	if c.noChat() {
		c.problem(asked, "needs slack or teams: people set their second factor up with /elevate mfa in chat")
	}
	if c.HTTP.PublicURL == "" {
		c.problem(asked, "needs http.public_url: people set their second factor up on a page below it")
	}
	administrators := 0
	for _, p := range c.People {
		if c.Administrator != nil && p.Kind != access.Service && c.Administrator(p.person()) {
			administrators++
		}
	}
	switch {
	case administrators < fewestAdministrators && len(c.Groups) > 0:
		c.warning(asked, "may have fewer than three administrators, some of whom are in groups that are kept elsewhere: one confirms each second factor, and it takes two others to reset that of one of them")
	case administrators < 2:
		c.problem(asked, "needs at least two administrators: one confirms each second factor, and none their own")
	case administrators < fewestAdministrators:
		c.warning(asked, "has two administrators: it takes two others to reset the second factor that one of them has lost, so name a third")
	}
}

// asksFactor is the first place where a policy asks for a second factor; nil where none does.
func (c *checker) asksFactor() path { return c.asks(access.TOTP, access.WebAuthn) }

// asks is the first place where a policy asks for one of several methods; nil where none does.
func (c *checker) asks(methods ...access.Method) path {
	for i, rule := range c.Policies {
		at := path{"policies"}.index(i)
		switch {
		case slices.Contains(methods, rule.StepUp.Request):
			return at.key("step_up", "request")
		case slices.Contains(methods, rule.StepUp.Approve):
			return at.key("step_up", "approve")
		}
	}
	return nil
}

// AsksFactor tells whether a policy asks for a second factor.
func (c *Config) AsksFactor() bool { return (&checker{Config: c}).asksFactor() != nil }

// AsksKey tells whether a policy asks for a security key.
func (c *Config) AsksKey() bool { return (&checker{Config: c}).asks(access.WebAuthn) != nil }
