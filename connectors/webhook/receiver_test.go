package webhook_test

// The README shows what follows as an example; TestReadmeShowsTheReceiver compares the two.

import (
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// receiver keeps who holds what. It remembers which of it Elevate gave, so that it never takes anything else away.
type receiver struct {
	key      *standardwebhooks.Webhook // standardwebhooks.NewWebhook("whsec_…")
	mu       sync.Mutex
	standing map[hold]bool
	given    map[hold]string // the grant that Elevate gave it for
}

type hold struct{ account, role string }

func (s *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	verb := path.Base(r.URL.Path)
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
	// The path is not signed, but webhook-id is, and ends in the verb.
	if err != nil || s.key.Verify(body, r.Header) != nil || !strings.HasSuffix(r.Header.Get("webhook-id"), ":"+verb) {
		http.Error(w, "the signature is missing, wrong or older than five minutes", http.StatusUnauthorized)
		return
	}
	var in struct {
		Grant  string
		Person struct{ ID, Email, Account string }
		Target struct{ Role string }
	}
	if err := json.Unmarshal(body, &in); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	h := hold{in.Person.Account, in.Target.Role}
	_, ours := s.given[h]
	var out any
	switch verb {
	case "activate":
		if !s.standing[h] {
			s.given[h] = in.Grant
		}
		out = map[string]any{"already": s.standing[h] && !ours}
	case "deactivate":
		delete(s.given, h)
		out = map[string]any{"was": map[bool]string{true: "removed", false: "absent"}[ours]}
	case "holders":
		list := []map[string]string{}
		for h, grant := range s.given {
			if h.role == in.Target.Role {
				list = append(list, map[string]string{"account": h.account, "grant": grant})
			}
		}
		for h := range s.standing {
			if h.role == in.Target.Role {
				list = append(list, map[string]string{"account": h.account})
			}
		}
		out = map[string]any{"holders": list}
	case "check":
		out = map[string]any{}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out)
}
