package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"elevate/workflows"
	"elevate/workflows/access"
)

// shelf is a catalogue of three roles, one of which Ana cannot have, and of her requests.
type shelf struct{}

func (shelf) offers() []workflows.Offer {
	offer := func(id access.RoleID, title, ticket string, eligible bool) workflows.Offer {
		return workflows.Offer{Role: access.Role{ID: id, Title: title}, Eligible: eligible, Default: 30 * time.Minute, Max: 90 * time.Minute, TicketPattern: ticket}
	}
	return []workflows.Offer{
		offer("prod-db", "Production database", "INC-[0-9]+", true), offer("prod-web", "Production web", "", true), offer("vault", "Vault", "", false),
	}
}

func (s shelf) Offers(_ context.Context, person access.PersonID, words string, _ int) ([]workflows.Offer, error) {
	if person == "bob" {
		return nil, errors.New("the catalogue is shut")
	}
	return slices.DeleteFunc(s.offers(), func(o workflows.Offer) bool { return !strings.HasPrefix(string(o.Role.ID), words) }), nil
}

func (s shelf) Offer(_ context.Context, _ access.PersonID, role access.RoleID) (workflows.Offer, error) {
	for _, o := range s.offers() {
		if o.Role.ID == role {
			return o, nil
		}
	}
	return workflows.Offer{}, access.ErrNotFound
}

func (shelf) Requests(_ context.Context, _ access.PersonID, q workflows.Query) ([]*access.Record, string, error) {
	record := func(id access.RequestID, s access.State) *access.Record {
		return &access.Record{Request: access.Request{ID: id, Role: access.Role{ID: "prod-db"}}, State: s}
	}
	all := []*access.Record{record("07kq4-active", access.Active), record("07kq4-pending", access.Pending), record("06aaa-ended", access.Ended)}
	if q.Open {
		all = all[:2]
	}
	return all, "", nil
}

func TestCompletionOffersWhatCanComeNext(t *testing.T) {
	t.Parallel()
	x := newSite(t)
	verbs := "mine roles show end extend cancel help"
	for _, tt := range []struct {
		person, text string
		want         string // what is inserted, in words
		from         int
		hint         string
	}{
		{"ana", "", "", 0, ""},
		{"ana", "hello", "", 0, ""},
		{"ana", "/", "/elevate", 0, ""},
		{"ana", "/elevate", "/elevate", 0, ""},
		{"ana", "/elevatex ", "", 0, ""},
		{"ana", "/elevate ", "prod-db prod-web " + verbs, 9, ""},
		{"ana", "/elevate \n", "prod-db prod-web " + verbs, 10, ""},
		{"ana", "/elevate prod-w", "prod-web", 9, ""},
		{"ana", "/elevate E", "end extend", 9, ""},
		{"bob", "/elevate m", "mine", 9, ""}, // typing goes on without the catalogue
		{"ana", "/elevate prod-db ", "15m 30m 1h 1h30m", 17, ""},
		{"ana", "/elevate prod-db 1h", "1h 1h30m", 17, ""},
		{"ana", "/elevate prod-db 1h ", "", 20, "Give the ticket"},
		{"ana", "/elevate prod-db fix", "", 17, "Give the ticket"},
		{"ana", "/elevate prod-web 1h 🧯 fi", "", 24, "Say why"},
		{"ana", "/elevate vault ", "", 15, ""},
		{"ana", "/elevate none ", "", 14, ""},
		{"ana", "/elevate end ", "07kq4-active", 13, ""},
		{"ana", "/elevate cancel ", "07kq4-pending", 16, ""},
		{"ana", "/elevate show 06", "06aaa-ended", 14, ""},
		{"ana", "/elevate show zz", "", 14, "Type the id"},
		{"ana", "/elevate extend 07kq4-active ", "15m 30m 1h", 29, ""},
		{"ana", "/elevate mine ", "", 14, ""},
		{"ana", "/elevate " + strings.Repeat("x", maxText), "", 0, ""},
	} {
		status, answer := x.knock("GET", "/chat/complete?"+url.Values{"person": {tt.person}, "text": {tt.text}}.Encode(), "", nil)
		var c completion
		if err := json.Unmarshal([]byte(answer), &c); err != nil || status != http.StatusOK {
			t.Fatalf("%q: %d %s %v", tt.text, status, answer, err)
		}
		var got []string
		for _, o := range c.Options {
			got = append(got, strings.TrimSpace(o.Insert))
		}
		if strings.Join(got, " ") != tt.want || !strings.HasPrefix(c.Hint, tt.hint) || (c.Hint == "") != (tt.hint == "") {
			t.Errorf("%.40q: %q, hint %q; want %q, hint %q", tt.text, got, c.Hint, tt.want, tt.hint)
		}
		if len(got) > 0 && c.From != tt.from {
			t.Errorf("%.40q: choices stand for the text from %d, want %d", tt.text, c.From, tt.from)
		}
	}
}
