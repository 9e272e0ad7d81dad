package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"elevate/workflows"
	"elevate/workflows/access"
)

// input reads named texts and collects what is wrong with them, so that a caller hears of everything at once.
type input struct {
	values map[string]string
	faults []FieldError
}

func (in *input) fault(field, code, format string, args ...any) {
	in.faults = append(in.faults, FieldError{Field: field, Code: code, Detail: fmt.Sprintf(format, args...)})
}

// err is what was found wrong, or nil.
func (in *input) err() error {
	if len(in.faults) == 0 {
		return nil
	}
	return invalid(http.StatusBadRequest, in.faults...)
}

// required is a text that must be there.
func (in *input) required(name string) string {
	v := in.values[name]
	if strings.TrimSpace(v) == "" {
		in.fault(name, "missing", "%s is missing.", name)
	}
	return v
}

func (in *input) duration(name string) time.Duration {
	v := in.values[name]
	if v == "" {
		return 0
	}
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		in.fault(name, "bad_duration", "%s must be a duration such as 90m or 1h30m.", name)
		return 0
	}
	return d
}

func (in *input) time(name string) time.Time {
	v := in.values[name]
	if v == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, v)
	if err != nil {
		in.fault(name, "bad_time", "%s must be a time such as 2026-03-02T14:05:00Z.", name)
		return time.Time{}
	}
	return at.UTC()
}

func (in *input) bool(name string) bool {
	switch in.values[name] {
	case "", "false":
		return false
	case "true":
		return true
	}
	in.fault(name, "bad_value", "%s must be true or false.", name)
	return false
}

func (in *input) number(name string, least, most, otherwise int) int {
	v := in.values[name]
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most {
		in.fault(name, "bad_number", "%s must be a number from %d to %d.", name, least, most)
		return otherwise
	}
	return n
}

// fields reads a body: one flat object, all of whose values are texts, under the names allowed, each once. An empty
// body is an empty object. null is as good as leaving a field out.
func fields(body []byte, allowed ...string) (*input, error) {
	in := &input{values: map[string]string{}}
	if len(body) == 0 {
		return in, nil
	}
	malformed := problem(http.StatusBadRequest, "bad_json", "The body must be one JSON object.")
	if !utf8.Valid(body) {
		return nil, problem(http.StatusBadRequest, "bad_json", "The body must be UTF-8.")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return nil, malformed
	}
	seen := map[string]bool{}
	for dec.More() {
		key, err := dec.Token()
		name, isText := key.(string)
		var raw json.RawMessage
		if err != nil || !isText || dec.Decode(&raw) != nil {
			return nil, malformed
		}
		in.field(name, raw, seen, allowed)
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, malformed
	}
	return in, nil
}

// field takes one field of a body.
func (in *input) field(name string, raw json.RawMessage, seen map[string]bool, allowed []string) {
	switch {
	case !slices.Contains(allowed, name):
		known := "no fields are known here"
		if len(allowed) > 0 {
			known = "known are " + strings.Join(allowed, ", ")
		}
		in.fault(shorten(name), "unknown_field", "%q is not a field; %s.", shorten(name), known)
		return
	case seen[name]:
		in.fault(name, "double_field", "%s is there twice.", name)
		return
	}
	seen[name] = true
	var text *string
	if json.Unmarshal(raw, &text) != nil {
		in.fault(name, "not_a_text", "%s must be a text in quotes.", name)
		return
	}
	if text != nil {
		in.values[name] = *text
	}
}

// shorten keeps a name that somebody else chose from filling an answer.
func shorten(name string) string {
	if r := []rune(name); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return name
}

// parameters reads a query, under the names allowed, each once. A name that is not known is an error, lest a filter
// that was misspelt show everything. Those in many may be repeated, and are joined by commas.
func parameters(query url.Values, many []string, allowed ...string) *input {
	in := &input{values: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		switch {
		case slices.Contains(many, name):
			in.values[name] = strings.Join(values, ",")
		case !slices.Contains(allowed, name):
			in.fault(shorten(name), "unknown_parameter", "%q is not a parameter; known are %s.",
				shorten(name), strings.Join(append(slices.Clone(many), allowed...), ", "))
		case len(values) > 1:
			in.fault(name, "double_parameter", "%s is there %d times.", name, len(values))
		default:
			in.values[name] = values[0]
		}
	}
	return in
}

const (
	defaultPage = 100
	maxPage     = 500
)

// listing is a query for requests.
type listing struct {
	workflows.Query
	mine    bool
	waiting bool
}

func parseListing(query url.Values) (listing, error) {
	in := parameters(query, []string{"state"}, "open", "person", "mine", "waiting", "role", "since", "cursor", "limit")
	l := listing{mine: in.bool("mine"), waiting: in.bool("waiting"), Query: workflows.Query{
		Open:   in.bool("open"),
		Person: access.PersonID(in.values["person"]),
		Role:   access.RoleID(in.values["role"]),
		Since:  in.time("since"),
		Cursor: in.values["cursor"],
		Limit:  in.number("limit", 1, maxPage, defaultPage),
	}}
	for _, s := range strings.FieldsFunc(in.values["state"], func(c rune) bool { return c == ',' }) {
		if !slices.Contains(access.States(), access.State(s)) {
			in.fault("state", "bad_state", "%q is not a state; the states are %s.", shorten(s), join(access.States()))
			break
		}
		l.States = append(l.States, access.State(s))
	}
	if l.mine && l.Person != "" {
		in.fault("mine", "bad_combination", "mine and person exclude each other.")
	}
	if l.waiting && len(query) > 1 {
		in.fault("waiting", "bad_combination", "waiting takes no other parameter beside it.")
	}
	return l, in.err()
}

func join[T ~string](words []T) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}
