package sambatest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// entry adds to what a search found what a controller with the feature would say.
func (p *passage) entry(message *ber.Packet) *ber.Packet {
	f := p.f
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ranges > 0 {
		for _, a := range message.Children[1].Children[1].Children {
			cut(a, f.ranges)
		}
	}
	if f.silent {
		for _, a := range message.Children[1].Children[1].Children {
			if values := a.Children[1]; strings.EqualFold(text(a.Children[0]), "supportedControl") {
				values.Children = slices.DeleteFunc(values.Children, func(v *ber.Packet) bool { return text(v) == ldap.ControlTypeMicrosoftNotification })
			}
		}
	}
	if !f.expiring {
		return rebuilt(message)
	}
	p.mu.Lock()
	base, wanted := p.ttl[number(message.Children[0])]
	p.mu.Unlock()
	dn, attributes := text(message.Children[1].Children[0]), message.Children[1].Children[1]
	for _, a := range attributes.Children {
		name, values := text(a.Children[0]), a.Children[1]
		switch {
		case dn == "" && strings.EqualFold(name, "supportedControl"):
			values.AppendChild(octets("1.2.840.113556.1.4.2309"))
		case wanted && base != "" && (strings.EqualFold(name, "member") || strings.HasPrefix(strings.ToLower(name), "member;")):
			for i, v := range values.Children {
				values.Children[i] = octets(f.withEnd(dn, text(v)))
			}
		}
	}
	if strings.HasPrefix(strings.ToLower(dn), "cn=partitions,") {
		feature := ber.NewSequence("")
		feature.AppendChild(octets("msDS-EnabledFeature"))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		set.AppendChild(octets("CN=Privileged Access Management Feature,CN=Optional Features,CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration," + Base))
		feature.AppendChild(set)
		attributes.AppendChild(feature)
	}
	return rebuilt(message)
}

// cut leaves the first n values of an attribute of members, and says in its name which those are.
func cut(a *ber.Packet, n int) {
	name, option, _ := strings.Cut(text(a.Children[0]), ";range=")
	values := a.Children[1]
	if !strings.EqualFold(name, "member") || len(values.Children) <= n {
		return
	}
	first, _ := strconv.Atoi(strings.TrimSuffix(option, "-*")) // 0 where there is no range yet
	a.Children[0] = octets(fmt.Sprintf("%s;range=%d-%d", name, first, first+n-1))
	values.Children = values.Children[:n]
}

// withEnd is a membership as the feature shows it.
func (f *Front) withEnd(group, member string) string {
	e := f.ends[key(group, member)]
	if e == nil {
		return member
	}
	return fmt.Sprintf("<TTL=%d,%s>", max(0, int(time.Until(e.at)/time.Second)), member)
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func text(p *ber.Packet) string { return p.Data.String() }

func number(p *ber.Packet) int64 {
	n, _ := p.Value.(int64) // it was read as a number
	return n
}

// hasControl tells whether a request came with a control.
func hasControl(message *ber.Packet, oid string) bool {
	if len(message.Children) < 3 {
		return false
	}
	for _, c := range message.Children[2].Children {
		if text(c.Children[0]) == oid {
			return true
		}
	}
	return false
}

// rebuilt is a packet whose parts were changed: lengths and contents are written anew.
func rebuilt(p *ber.Packet) *ber.Packet {
	if p.TagType != ber.TypeConstructed {
		return p
	}
	fresh := ber.Encode(p.ClassType, p.TagType, p.Tag, nil, p.Description)
	for _, c := range p.Children {
		fresh.AppendChild(rebuilt(c))
	}
	return fresh
}
