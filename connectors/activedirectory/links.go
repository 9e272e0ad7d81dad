package activedirectory

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// The attributes that the connector writes. A membership and its mark are links of a group to an account: they follow it
// when it is renamed, go when it is deleted, and are replicated one by one. The schema has nonSecurityMember for members of a
// group that get none of its rights.
const (
	memberAttr = "member"
	markAttr   = "nonSecurityMember"
)

// link is one value of such an attribute.
type link struct {
	id guid
	dn string
}

// links reads all values of a group's attribute.
func (s *session) links(group guid, attribute string) ([]link, error) {
	var out []link
	control := ldap.NewControlString(extendedDN, false, "")
	err := s.values(group, attribute, control, func(value string) error {
		l, err := parseLink(value)
		out = append(out, l)
		return err
	})
	return out, err
}

// ttls are how many seconds each membership of a group has left, by distinguished name, where it has an end.
func (s *session) ttls(group guid) (map[string]int64, error) {
	left := map[string]int64{}
	err := s.values(group, memberAttr, ldap.NewControlString(linkTTL, false, ""), func(value string) error {
		seconds, dn, ok, err := parseTTL(value)
		if ok {
			left[strings.ToLower(dn)] = seconds
		}
		return err
	})
	return left, err
}

// values reads an attribute of many values, range by range: Active Directory gives 1,500 at once.
func (s *session) values(group guid, attribute string, control ldap.Control, each func(string) error) error {
	for ask, more := attribute, true; more; {
		entry, err := s.readWith(group.dn(), []ldap.Control{control}, ask)
		if err != nil {
			return err
		}
		more = false
		for _, a := range entry.Attributes {
			name, last, ranged := parseRange(a.Name)
			if !strings.EqualFold(name, attribute) {
				continue
			}
			for _, value := range a.Values {
				if err := each(value); err != nil {
					return err
				}
			}
			if ranged && last >= 0 {
				ask, more = fmt.Sprintf("%s;range=%d-*", attribute, last+1), true
			}
		}
	}
	return nil
}

// parseRange reads the name of an attribute: member, member;range=0-1499, or member;range=1500-* for the last part, by
// which last is negative.
func parseRange(name string) (attribute string, last int, ranged bool) {
	attribute, option, found := strings.Cut(name, ";")
	if !found {
		return attribute, -1, false
	}
	bounds, ok := strings.CutPrefix(strings.ToLower(option), "range=")
	_, to, cut := strings.Cut(bounds, "-")
	if !ok || !cut {
		return attribute, -1, false
	}
	last, err := strconv.Atoi(to)
	if err != nil || last < 0 {
		return attribute, -1, true
	}
	return attribute, last, true
}

var errNoLink = errors.New("the controller answered with something that is no link")

// parseLink reads <GUID=…>;<SID=…>;CN=…; the GUID's bytes are in the directory's order, in hexadecimal.
func parseLink(value string) (link, error) {
	rest, ok := strings.CutPrefix(value, "<GUID=")
	text, rest, closed := strings.Cut(rest, ">;")
	raw, err := hex.DecodeString(text)
	id, whole := readGUID(raw)
	if !ok || !closed || err != nil || !whole {
		return link{}, fmt.Errorf("%w: %q", errNoLink, value)
	}
	for strings.HasPrefix(rest, "<") {
		if _, rest, closed = strings.Cut(rest, ">;"); !closed {
			return link{}, fmt.Errorf("%w: %q", errNoLink, value)
		}
	}
	return link{id: id, dn: rest}, nil
}

// parseTTL reads a membership that may have an end: <TTL=587,CN=…>, or <TTL=587>,CN=… as Microsoft's own tools print it.
func parseTTL(value string) (seconds int64, dn string, ok bool, err error) {
	rest, found := strings.CutPrefix(value, "<TTL=")
	if !found {
		return 0, value, false, nil
	}
	digits := strings.IndexAny(rest, ",>")
	if digits < 0 {
		return 0, "", false, fmt.Errorf("%w: %q", errNoLink, value)
	}
	seconds, err = strconv.ParseInt(rest[:digits], 10, 64)
	if err != nil || seconds < 0 {
		return 0, "", false, fmt.Errorf("%w: %q", errNoLink, value)
	}
	if dn, found = strings.CutPrefix(rest[digits:], ">,"); !found {
		if dn, found = strings.CutSuffix(rest[digits+1:], ">"); !found {
			return 0, "", false, fmt.Errorf("%w: %q", errNoLink, value)
		}
	}
	return seconds, dn, true, nil
}

// withTTL is a membership as it is written to have an end.
func withTTL(seconds int64, dn string) string { return fmt.Sprintf("<TTL=%d,%s>", seconds, dn) }
