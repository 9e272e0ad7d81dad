package azure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"elevate/connectors"
)

// The codes of Azure's errors that mean something of their own.
const (
	codeExists   = "RoleAssignmentExists"
	codeAbsent   = "RoleAssignmentDoesNotExist"
	codePending  = "PendingRoleAssignmentRequest"
	codeTooShort = "ActiveDurationTooShort"
	codePolicy   = "RoleAssignmentRequestPolicyValidationFailed"
)

// soon is when to look again at what Azure is still at work on.
const soon = 3 * time.Second

// refusal is an error of the connector's own finding.
type refusal struct {
	kind connectors.Kind
	wait time.Duration
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(kind connectors.Kind, format string, args ...any) error {
	return &refusal{kind: kind, text: fmt.Sprintf(format, args...)}
}

// notYet is a refusal to conclude anything before some time has passed.
func notYet(wait time.Duration, format string, args ...any) error {
	return &refusal{connectors.TooEarly, wait, fmt.Sprintf(format, args...)}
}

// answer is an error that Azure or its sign-in service gave. It keeps no request and no response, which carry secrets.
type answer struct {
	refusal
	status int
	code   string
}

// failed names what was tried and gives the error its kind. A nil error stays nil.
func failed(op string, err error) error {
	var done *connectors.Error
	if err == nil || errors.As(err, &done) {
		return err
	}
	e := &connectors.Error{Kind: connectors.Unavailable, Op: op, Err: err}
	var a *answer
	var own *refusal
	switch {
	case errors.As(err, &a):
		e.Kind, e.RetryAfter = a.kind, a.wait
	case errors.As(err, &own):
		e.Kind, e.RetryAfter = own.kind, own.wait
	}
	return e
}

// told says what was asked for, and replaces an SDK's error, with all that it carries, by what it says. A nil error
// stays nil.
func (s *session) told(what string, err error) error {
	if err == nil {
		return nil
	}
	var response *azcore.ResponseError
	var signIn *azidentity.AuthenticationFailedError
	switch {
	case errors.As(err, &response):
		err = answered(response.StatusCode, response.ErrorCode, response.RawResponse, s.now)
	case errors.As(err, &signIn) && signIn.RawResponse != nil:
		err = refusedSignIn(signIn.RawResponse, s.now)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// hasCode tells whether Azure answered with an error of that code.
func hasCode(err error, code string) bool {
	var a *answer
	return errors.As(err, &a) && a.code == code
}

// isStatus tells whether Azure answered with one of those statuses.
func isStatus(err error, statuses ...int) bool {
	var a *answer
	return errors.As(err, &a) && slices.Contains(statuses, a.status)
}

func answered(status int, code string, resp *http.Response, now time.Time) error {
	said := ""
	a := &answer{status: status, code: code}
	if resp != nil {
		said = message(resp)
		a.wait = connectors.RetryAfter(resp.Header, now)
	}
	a.kind = meaning(status, code)
	if a.kind.Final() {
		a.wait = 0
	} else if a.kind == connectors.TooEarly && a.wait == 0 {
		a.wait = soon
	}
	a.text = fmt.Sprintf("Azure answered %d %s", status, code)
	if said != "" {
		a.text += ": " + said
	}
	if hint := hints[code]; hint != "" {
		a.text += " (" + hint + ")"
	}
	if code == codePolicy {
		a.text = "the role's PIM settings refuse it: " + rulesInWords(said)
	}
	return a
}

// hints are the ways out of what Azure refuses.
var hints = map[string]string{
	"AuthorizationFailed":        "give Elevate's application Role Based Access Control Administrator at the role's scope, as its page on Azure shows",
	"LinkedAuthorizationFailed":  "give Elevate's application Role Based Access Control Administrator at the role's scope, as its page on Azure shows",
	"SubjectNotFound":            "nobody in the tenant has the object id that the directory has for this connector",
	"PrincipalNotFound":          "nobody in the tenant has the object id that the directory has for this connector",
	"RoleDefinitionDoesNotExist": "correct target.role",
	"AadPremiumLicenseRequired":  "PIM needs Microsoft Entra ID P2 or Microsoft Entra ID Governance",
	"ScopeLocked":                "a lock at the scope or above it keeps assignments from being removed; take it away, or let Azure end the access by itself",
	"ResourceIsLocked":           "a lock at the scope or above it keeps assignments from being removed; take it away, or let Azure end the access by itself",
	codeTooShort:                 "Azure removes no assignment within five minutes of making it",
}

// meaning is the kind of an answer. What is not listed may pass, or leaves the effect unknown.
func meaning(status int, code string) connectors.Kind {
	switch code {
	case codeTooShort, codePending, codeExists, codeAbsent:
		return connectors.TooEarly // the callers know what else it can mean; a later look tells
	case codePolicy, "AadPremiumLicenseRequired", "ScopeLocked", "ResourceIsLocked", "RoleAssignmentRequestAcrsValidationFailed":
		return connectors.Denied
	case "SubjectNotFound", "PrincipalNotFound", "RoleDefinitionDoesNotExist":
		return connectors.NotFound
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return connectors.Denied
	case http.StatusNotFound, http.StatusGone:
		return connectors.NotFound
	case http.StatusConflict:
		return connectors.TooEarly
	case http.StatusTooManyRequests:
		return connectors.Throttled
	case http.StatusRequestTimeout:
		return connectors.Unavailable
	}
	if status >= 400 && status <= 499 {
		return connectors.Invalid
	}
	return connectors.Unavailable
}

// message is what an error's body says, quoted: it is shown to people.
func message(resp *http.Response) string {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // the SDK has read it and made it readable again
	if err != nil {
		return ""
	}
	resp.Body = io.NopCloser(bytes.NewReader(raw))
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(raw, &body) != nil {
		var refused struct { // the sign-in service has a text there
			Description string `json:"error_description"`
		}
		_ = json.Unmarshal(raw, &refused) // what cannot be read says nothing
		body.Description = refused.Description
	}
	return quoted(strings.TrimSpace(body.Error.Message + body.Description))
}

func quoted(text string) string {
	const enough = 300 // runes
	if text == "" {
		return ""
	}
	if runes := []rune(strings.ToValidUTF8(text, "")); len(runes) > enough {
		text = string(runes[:enough]) + "…"
	}
	return strconv.Quote(text)
}

// refusedSignIn is the answer of the sign-in service.
func refusedSignIn(resp *http.Response, now time.Time) error {
	a := &answer{status: resp.StatusCode, code: "sign-in"}
	a.kind = connectors.Unavailable
	switch {
	case resp.StatusCode == http.StatusTooManyRequests:
		a.kind = connectors.Throttled
	case resp.StatusCode >= 400 && resp.StatusCode <= 499 && resp.StatusCode != http.StatusRequestTimeout:
		a.kind = connectors.Denied
	}
	if !a.kind.Final() {
		a.wait = connectors.RetryAfter(resp.Header, now)
	}
	a.text = fmt.Sprintf("the sign-in service answered %d; see that tenant_id, client_id and the application's secret, certificate or federation are right and not expired", resp.StatusCode)
	if said := message(resp); said != "" {
		a.text += ": " + said
	}
	return a
}

var ruleName = regexp.MustCompile(`[A-Za-z]+Rule`)

// rulesInWords says what the rules ask for that an answer names.
func rulesInWords(said string) string {
	var out []string
	for _, name := range ruleName.FindAllString(said, -1) {
		switch name {
		case "MfaRule":
			out = append(out, mfaInWords)
		case "JustificationRule":
			out = append(out, "they ask for a justification")
		case "TicketingRule":
			out = append(out, ticketInWords)
		case "ExpirationRule":
			out = append(out, "the time is longer than they allow; ask for less, or raise the role's maximum for active assignments in PIM")
		case "EligibilityRule":
			out = append(out, "they do not allow it for this person")
		default:
			out = append(out, "rule "+name)
		}
	}
	if len(out) == 0 {
		return said
	}
	return strings.Join(out, "; ")
}
