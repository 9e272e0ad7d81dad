package azure

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	arm2 "github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/authorization/armauthorization/v2"

	"elevate/connectors"
	"elevate/workflows/access"
)

// The rules of a role's PIM settings that govern active assignments made by administrators.
const (
	expirationRule = "Expiration_Admin_Assignment"
	enablementRule = "Enablement_Admin_Assignment"
)

const (
	mfaInWords    = "they ask for multifactor authentication on active assignment, which no program can give; switch that off in PIM (Azure resources, the scope, Settings, the role, Assignment): Elevate asks people itself"
	ticketInWords = "they ask for a ticket; let the policy of the role in Elevate ask for one (justification.ticket)"
)

// rules are what a role's PIM settings ask of an active assignment.
type rules struct {
	longest     time.Duration // zero: any
	mfa, ticket bool
}

// rules reads a role's settings at a place. Where there are none, Azure asks for nothing.
func (s *session) rules(ctx context.Context, p place) (rules, error) {
	var out rules
	list, err := s.settings(ctx, p)
	if err != nil {
		return out, s.told("read the role's PIM settings", err)
	}
	for _, a := range list {
		if a.Properties == nil || !strings.EqualFold(last(str(a.Properties.RoleDefinitionID)), p.role) {
			continue
		}
		for _, r := range a.Properties.EffectiveRules {
			if err := out.add(r); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

func (r *rules) add(rule arm2.RoleManagementPolicyRuleClassification) error {
	switch rule := rule.(type) {
	case *arm2.RoleManagementPolicyExpirationRule:
		required := rule.IsExpirationRequired == nil || *rule.IsExpirationRequired
		if str(rule.ID) != expirationRule || !required || str(rule.MaximumDuration) == "" {
			return nil
		}
		longest, err := parseDuration(str(rule.MaximumDuration))
		if err != nil {
			return refuse(connectors.Denied, "the role's PIM settings cannot be understood: %v", err)
		}
		r.longest = longest
	case *arm2.RoleManagementPolicyEnablementRule:
		if str(rule.ID) != enablementRule {
			return nil
		}
		for _, e := range rule.EnabledRules {
			r.mfa = r.mfa || str(e) == string(arm2.EnablementRulesMultiFactorAuthentication)
			r.ticket = r.ticket || str(e) == string(arm2.EnablementRulesTicketing)
		}
	}
	return nil
}

// settings asks for the settings of one role. The typed client would list those of all roles, some hundred.
func (s *session) settings(ctx context.Context, p place) ([]*arm2.RoleManagementPolicyAssignment, error) {
	at := runtime.JoinPaths(s.rest.Endpoint(), written(p.scope), "providers/Microsoft.Authorization/roleManagementPolicyAssignments")
	query := map[string]string{"api-version": "2020-10-01", "$filter": fmt.Sprintf("roleDefinitionId eq '%s'", p.definition())}
	var out []*arm2.RoleManagementPolicyAssignment
	for at != "" {
		var page arm2.RoleManagementPolicyAssignmentListResult
		if err := s.get(ctx, at, query, &page); err != nil {
			return nil, err
		}
		out = append(out, page.Value...)
		at, query = str(page.NextLink), nil
	}
	return out, nil
}

// get asks Azure Resource Manager for something that the typed clients do not know.
func (s *session) get(ctx context.Context, at string, query map[string]string, into any) error {
	req, err := runtime.NewRequest(ctx, http.MethodGet, at)
	if err != nil {
		return err
	}
	if query != nil {
		q := req.Raw().URL.Query()
		for k, v := range query {
			q.Set(k, v)
		}
		req.Raw().URL.RawQuery = q.Encode()
	}
	resp, err := s.rest.Pipeline().Do(req)
	if err != nil {
		return err
	}
	if !runtime.HasStatusCode(resp, http.StatusOK) {
		return runtime.NewResponseError(resp)
	}
	return runtime.UnmarshalAsJSON(resp, into)
}

// allowed reads what PIM asks of a grant, refuses in words what Azure would refuse, and says until when to assign: the
// grant's end and the grace, or as much of the grace as is allowed.
func (s *session) allowed(ctx context.Context, e entry, g access.Grant) (time.Time, error) {
	r, err := s.rules(ctx, e.place)
	if err != nil {
		return time.Time{}, err
	}
	until := g.End.UTC().Add(s.grace + time.Second - 1).Truncate(time.Second)
	if least := s.now.Add(floor + time.Minute); until.Before(least) {
		until = least.Truncate(time.Second) // a grant that began late is not refused for it; Elevate ends it in time
	}
	var problems []string
	if r.mfa {
		problems = append(problems, mfaInWords)
	}
	if r.ticket && g.Ticket == "" {
		problems = append(problems, ticketInWords)
	}
	if limit := s.now.Add(r.longest).Truncate(time.Second); r.longest > 0 && until.After(limit) {
		until = limit
		if until.Before(g.End) {
			problems = append(problems, fmt.Sprintf("they allow %s at most; ask for less, or raise the role's maximum for active assignments in PIM", connectors.Spoken(r.longest)))
		}
	}
	if len(problems) > 0 {
		return time.Time{}, refuse(connectors.Denied, "the role's PIM settings refuse it: %s", strings.Join(problems, "; "))
	}
	if s.requireEligible {
		err = s.mustBeEligible(ctx, e)
	}
	return until, err
}

// mustBeEligible refuses people who are not eligible for the role in PIM, themselves or by a group.
func (s *session) mustBeEligible(ctx context.Context, e entry) error {
	list, err := s.eligibles(ctx, e.place, fmt.Sprintf("assignedTo('%s')", e.account))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return refuse(connectors.Denied, "%s is not eligible for the role in PIM at %s; make the person eligible there, or leave require_eligible out", e.account, e.scope)
	}
	return nil
}

// eligibles reads who may activate a role in PIM.
func (s *session) eligibles(ctx context.Context, p place, filter string) ([]holding, error) {
	var out []holding
	pages := s.eligible.NewListForScopePager(written(p.scope), &arm2.RoleEligibilityScheduleInstancesClientListForScopeOptions{Filter: &filter})
	for pages.More() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, s.told("look who is eligible", err)
		}
		for _, i := range page.Value {
			if i.Properties == nil {
				continue
			}
			h, ok := p.holds(&arm2.RoleAssignmentScheduleInstanceProperties{
				PrincipalID: i.Properties.PrincipalID, PrincipalType: i.Properties.PrincipalType, MemberType: i.Properties.MemberType,
				RoleDefinitionID: i.Properties.RoleDefinitionID, Scope: i.Properties.Scope, Condition: i.Properties.Condition,
				StartDateTime: i.Properties.StartDateTime, EndDateTime: i.Properties.EndDateTime,
			})
			current := h.end.IsZero() || h.end.After(s.now)
			if ok && current && !h.start.After(s.now) {
				out = append(out, h)
			}
		}
	}
	return out, nil
}

var isoDuration = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?$`)

var errNoDuration = errors.New("not a duration such as P1D or PT8H")

// parseDuration reads an ISO 8601 duration. A month is 30 days and a year 365, as in PIM's own pages.
func parseDuration(text string) (time.Duration, error) {
	parts := isoDuration.FindStringSubmatch(text)
	if parts == nil || strings.HasSuffix(text, "P") || strings.HasSuffix(text, "T") {
		return 0, fmt.Errorf("%q is %w", text, errNoDuration)
	}
	const day = 24 * time.Hour
	var sum time.Duration
	for i, unit := range []time.Duration{365 * day, 30 * day, 7 * day, day, time.Hour, time.Minute, time.Second} {
		if parts[i+1] == "" {
			continue
		}
		n, err := strconv.ParseInt(parts[i+1], 10, 64)
		if err != nil || n > int64((1<<63-1-sum)/unit) {
			return 0, fmt.Errorf("%q is %w: it is too long", text, errNoDuration)
		}
		sum += time.Duration(n) * unit
	}
	return sum, nil
}
