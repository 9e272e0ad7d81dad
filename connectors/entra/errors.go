package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"elevate/connectors"
)

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

// later says that it is not time yet, and when to try again. It is also what Entra's being slow is: what was asked for
// was heard, so nobody is to conclude that Entra does not answer.
func later(wait time.Duration, format string, args ...any) error {
	return &refusal{kind: connectors.TooEarly, wait: wait, text: fmt.Sprintf(format, args...)}
}

// answer is what Graph says instead of doing something.
type answer struct {
	status int
	code   string
	text   string
	wait   time.Duration // as Retry-After says
}

func (a *answer) Error() string {
	text := fmt.Sprintf("Graph answered %d", a.status)
	if a.code != "" {
		text += " " + a.code
	}
	if a.text != "" {
		text += ": " + a.text
	}
	return text
}

// says tells whether an error is an answer with one of the codes.
func says(err error, codes ...string) bool {
	var a *answer
	if !errors.As(err, &a) {
		return false
	}
	for _, code := range codes {
		if strings.EqualFold(a.code, code) {
			return true
		}
	}
	return false
}

const longestText = 400

// readAnswer reads an answer of status 400 or more. Whatever is in its body, it gives an answer.
func readAnswer(status int, header http.Header, body []byte, now time.Time) *answer {
	a := &answer{status: status, wait: readWait(header.Get("Retry-After"), now)}
	var in struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &in) == nil {
		a.code, a.text = plain(in.Error.Code), plain(in.Error.Message)
	}
	return a
}

// plain makes one line of what the other side wrote.
func plain(text string) string {
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if runes := []rune(text); len(runes) > longestText {
		text = string(runes[:longestText]) + "…"
	}
	return text
}

// longestWait bounds what the other side may ask for.
const longestWait = time.Hour

func readWait(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(max(seconds, 0), int(longestWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), longestWait)
}

// failed names what was tried and gives the error its kind. A nil error stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	kind, wait := kindOf(err)
	var u *url.Error
	if errors.As(err, &u) {
		err = &without{text: strings.Replace(err.Error(), u.Error(), u.Err.Error(), 1), cause: u.Err}
	}
	return &connectors.Error{Kind: kind, Op: op, RetryAfter: wait, Err: err}
}

// without is an error whose text lacks an address, which says nothing to people.
type without struct {
	text  string
	cause error
}

func (w *without) Error() string { return w.text }

func (w *without) Unwrap() error { return w.cause }

// kindOf reads what an error means. What is not listed may pass, or leaves the effect unknown.
func kindOf(err error) (connectors.Kind, time.Duration) {
	var own *refusal
	if errors.As(err, &own) {
		return own.kind, own.wait
	}
	var a *answer
	if !errors.As(err, &a) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return connectors.Unavailable, 0
	}
	switch {
	case a.status == http.StatusTooManyRequests:
		return connectors.Throttled, a.wait
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return connectors.Denied, 0
	case says(a, "SubjectNotFound", "Request_ResourceNotFound", "ResourceNotFound", "RoleNotFound", "RoleDefinitionDoesNotExist"), a.status == http.StatusNotFound:
		return connectors.NotFound, 0
	case says(a, "RoleAssignmentRequestPolicyValidationFailed", "RoleAssignmentRequestAcrsValidationFailed", "ResourceIsLocked", "AadPremiumLicenseRequired"):
		return connectors.Denied, 0
	case says(a, "PendingRoleAssignmentRequest", "ActiveDurationTooShort"):
		return connectors.TooEarly, a.wait
	case a.status == http.StatusBadRequest, a.status == http.StatusUnprocessableEntity:
		return connectors.Invalid, 0
	}
	return connectors.Unavailable, a.wait
}
