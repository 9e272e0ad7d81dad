package azure

import (
	"fmt"
	"regexp"
	"strings"

	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"
	"github.com/google/uuid"

	"elevate/workflows/access"
)

// namespace of the names of our requests; drawn once.
var namespace = uuid.MustParse("6b1f6f0e-5b0a-4c39-9d0c-3f5f3b1f7a52")

// deed is what a request of ours does.
type deed string

const (
	assign deed = "assign" // turn: how often it was tried before
	update deed = "update" // turn: the end, in Unix seconds
	remove deed = "remove" // turn: the minute, so that what is sent twice is one request
)

// mark is how we know a request again: its name follows from who we are, what it is about, and what stands at the
// beginning of its justification. Nobody else's request fits together that way, another Elevate's neither.
type mark struct {
	grant access.RequestID
	deed  deed
	turn  int64
}

// name is a version 5 UUID, so the same deed has the same name however often it is sent.
func (m mark) name(me string, e entry) string {
	parts := []string{me, e.scope, e.role, e.account, string(m.grant), string(m.deed), fmt.Sprint(m.turn)}
	return uuid.NewSHA1(namespace, []byte(strings.Join(parts, "\x00"))).String()
}

// longestReason is how many characters of a justification go to Azure.
const longestReason = 400

func (m mark) justification(text string) string {
	out := fmt.Sprintf("Elevate %s %s %d", m.grant, m.deed, m.turn)
	if text == "" {
		return out
	}
	if runes := []rune(text); len(runes) > longestReason {
		text = string(runes[:longestReason]) + "…"
	}
	return out + ": " + text
}

var marked = regexp.MustCompile(`^Elevate (\S{1,64}) (assign|update) (0|[1-9][0-9]{0,17})(?:: |$)`)

// readMark finds the mark of a request that made or moved an assignment.
func readMark(justification string) (mark, bool) {
	parts := marked.FindStringSubmatch(justification)
	if parts == nil {
		return mark{}, false
	}
	m := mark{grant: access.RequestID(parts[1]), deed: deed(parts[2])}
	_, err := fmt.Sscan(parts[3], &m.turn)
	return m, err == nil
}

// ours tells whether a request is one of ours for this entry, and for which grant.
func (s *session) ours(e entry, r arm2.RoleAssignmentScheduleRequest) (access.RequestID, bool) {
	if r.Properties == nil || !strings.EqualFold(str(r.Properties.PrincipalID), e.account) {
		return "", false
	}
	m, ok := readMark(str(r.Properties.Justification))
	if !ok || !strings.EqualFold(str(r.Name), m.name(s.me, e)) {
		return "", false
	}
	return m.grant, true
}

// str is what an SDK's field says, empty for none.
func str[T ~string](p *T) string {
	if p == nil {
		return ""
	}
	return string(*p)
}
