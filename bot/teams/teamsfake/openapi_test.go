package teamsfake

import (
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCheckRequestKnowsRequestsThatTheConnectorRefuses and lets those pass that it takes.
func TestCheckRequestKnowsRequestsThatTheConnectorRefuses(t *testing.T) {
	t.Parallel()
	Testdata(t)
	for name, test := range map[string]struct {
		method, address, kind, body string
		ok                          bool
	}{
		"message":           {"POST", "/v3/conversations/19:a@thread.tacv2/activities", "application/json", `{"type":"message","text":"hi"}`, true},
		"with a prefix":     {"POST", "/emea/v3/conversations/c/activities", "application/json", `{"type":"message"}`, true},
		"charset":           {"POST", "/v3/conversations/c/activities", "application/json; charset=utf-8", `{"type":"message"}`, true},
		"targeted":          {"PUT", "/v3/conversations/c/activities/1?isTargetedActivity=true", "application/json", `{"type":"message"}`, true},
		"escaped id":        {"DELETE", "/v3/conversations/c%2F..%3B/activities/a%2Fb", "", "", true},
		"conversation":      {"POST", "/v3/conversations", "application/json", `{"isGroup":false,"bot":{"id":"28:x"},"members":[{"id":"29:y"}]}`, true},
		"member":            {"GET", "/v3/conversations/c/members/29:y", "", "", true},
		"members":           {"GET", "/v3/conversations/c/pagedmembers?pageSize=500", "", "", true},
		"no v3":             {"POST", "/conversations/c/activities", "application/json", `{"type":"message"}`, false},
		"no such method":    {"PATCH", "/v3/conversations/c/activities/1", "application/json", `{"type":"message"}`, false},
		"no such path":      {"POST", "/v3/conversations/c/d/activities", "application/json", `{"type":"message"}`, false},
		"no body":           {"POST", "/v3/conversations/c/activities", "application/json", "", false},
		"body of a delete":  {"DELETE", "/v3/conversations/c/activities/1", "application/json", `{}`, false},
		"no kind of body":   {"POST", "/v3/conversations/c/activities", "", `{"type":"message"}`, false},
		"type":              {"POST", "/v3/conversations/c/activities", "application/json", `{"type":"shout"}`, false},
		"text":              {"POST", "/v3/conversations/c/activities", "application/json", `{"type":"message","text":1}`, false},
		"card as text":      {"POST", "/v3/conversations/c/activities", "application/json", `{"type":"message","attachments":[{"content":"x"}]}`, false},
		"recipient":         {"POST", "/v3/conversations/c/activities", "application/json", `{"type":"message","recipient":"29:y"}`, false},
		"zero time":         {"POST", "/v3/conversations/c/activities", "application/json", `{"type":"message","timestamp":""}`, false},
		"isGroup":           {"POST", "/v3/conversations", "application/json", `{"isGroup":"yes"}`, false},
		"members no list":   {"POST", "/v3/conversations", "application/json", `{"members":{"id":"29:y"}}`, false},
		"broken":            {"POST", "/v3/conversations/c/activities", "application/json", `{"type":`, false},
		"size of the pages": {"GET", "/v3/conversations/c/pagedmembers?pageSize=many", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(test.method, test.address, strings.NewReader(test.body))
			if test.kind != "" {
				r.Header.Set("Content-Type", test.kind)
			}
			if err := CheckRequest(r, []byte(test.body)); (err == nil) != test.ok {
				t.Errorf("%v, want it to pass: %t", err, test.ok)
			}
		})
	}
}
