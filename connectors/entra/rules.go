package entra

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/microsoft/kiota-abstractions-go/serialization"
	"github.com/microsoftgraph/msgraph-sdk-go/models"
	"github.com/microsoftgraph/msgraph-sdk-go/policies"

	"elevate/connectors"
)

// rules are what the settings of a role or group ask of active assignments by administrators, which ours are.
type rules struct {
	known   bool          // there are settings, so there is such a role
	longest time.Duration // zero: any
	mfa     bool
	ticket  bool
}

// The names that PIM gives to the rules that bind us. Those of activations and of being eligible do not.
const (
	expirationRule = "Expiration_Admin_Assignment"
	enablementRule = "Enablement_Admin_Assignment"
)

// rules reads the settings that a filter finds.
func (s *session) rules(ctx context.Context, filter string) (rules, error) {
	found, err := pages(func(next string) (page[models.UnifiedRoleManagementPolicyAssignmentable], error) {
		list := s.policies.RoleManagementPolicyAssignments()
		if next != "" {
			return list.WithUrl(next).Get(ctx, nil)
		}
		return list.Get(ctx, &policies.RoleManagementPolicyAssignmentsRequestBuilderGetRequestConfiguration{
			QueryParameters: &policies.RoleManagementPolicyAssignmentsRequestBuilderGetQueryParameters{
				Filter: &filter, Expand: []string{"policy($expand=rules)"}}})
	})
	if err != nil {
		return rules{}, fmt.Errorf("read the settings: %w", err)
	}
	out := rules{known: len(found) > 0}
	for _, f := range found {
		if policy := f.GetPolicy(); policy != nil {
			for _, rule := range policy.GetRules() {
				out.add(rule)
			}
		}
	}
	return out, nil
}

func (r *rules) add(rule models.UnifiedRoleManagementPolicyRuleable) {
	switch rule := rule.(type) {
	case models.UnifiedRoleManagementPolicyExpirationRuleable:
		if required := rule.GetIsExpirationRequired(); text(rule.GetId()) == expirationRule && required != nil && *required {
			r.longest = duration(rule.GetMaximumDuration())
		}
	case models.UnifiedRoleManagementPolicyEnablementRuleable:
		if text(rule.GetId()) == enablementRule {
			enabled := rule.GetEnabledRules()
			r.mfa = slices.Contains(enabled, "MultiFactorAuthentication")
			r.ticket = slices.Contains(enabled, "Ticketing")
		}
	}
}

// duration makes a time of the SDK's, which loses seconds and knows no months; zero for what it cannot read.
func duration(d *serialization.ISODuration) time.Duration {
	if d == nil {
		return 0
	}
	const day = 24 * time.Hour
	return time.Duration(d.GetYears())*365*day + time.Duration(d.GetWeeks())*7*day + time.Duration(d.GetDays())*day +
		time.Duration(d.GetHours())*time.Hour + time.Duration(d.GetMinutes())*time.Minute + time.Duration(d.GetSeconds())*time.Second
}

const mfaText = "its settings in PIM ask for multifactor authentication at an active assignment, which no program can do; in PIM, Settings of the role or group, Edit, Assignment, switch off “Require Azure Multi-Factor Authentication on active assignment”"

// refuses says in words why an assignment would be refused; nil if it would not.
func (r rules) refuses(lasts time.Duration, hasTicket bool) error {
	switch {
	case r.mfa:
		return refuse(connectors.Denied, "%s", mfaText)
	case r.ticket && !hasTicket:
		return refuse(connectors.Denied, "its settings in PIM ask for a ticket; make a new request with one, and let the policy ask for it (justification.ticket)")
	case r.longest > 0 && lasts > r.longest:
		return refuse(connectors.Denied, "its settings in PIM allow active assignments of %s at most; ask for less", connectors.Spoken(r.longest))
	}
	return nil
}

// advice says which grants would be refused and which not, where that hangs on the grant.
func (r rules) advice() []string {
	var out []string
	if r.longest > 0 {
		out = append(out, fmt.Sprintf("its PIM settings refuse grants longer than %s", connectors.Spoken(r.longest)))
	}
	if r.ticket {
		out = append(out, "its PIM settings refuse grants without a ticket; let its policy ask for one (justification.ticket)")
	}
	return out
}

// inWords explains what Entra said of an order, where people can do something about it.
func inWords(err error) error {
	if !says(err, "RoleAssignmentRequestPolicyValidationFailed") {
		return err
	}
	words := []struct{ rule, text string }{
		{"MfaRule", mfaText},
		{"JustificationRule", "its settings in PIM ask for a justification"},
		{"TicketingRule", "its settings in PIM ask for a ticket; make a new request with one"},
		{"ExpirationRule", "it is longer than its settings in PIM allow; ask for less"},
		{"EligibilityRule", "its settings in PIM give it to eligible people alone"},
	}
	var told []string
	for _, w := range words {
		if strings.Contains(err.Error(), w.rule) {
			told = append(told, w.text)
		}
	}
	if len(told) == 0 {
		return err
	}
	return refuse(connectors.Denied, "Entra refused: %s", strings.Join(told, "; "))
}
