package main

import (
	"encoding/base64"
	"strings"
	"testing"

	"elevate/workflows/access"
	"elevate/workflows/seal"
)

// A new key marks when all replicas know it, and no replica starts that would take what others mark for somebody else's.
func TestTheFirstKeyThatAllReplicasKnowMarks(t *testing.T) {
	t.Parallel()
	old, both, next := keyholder{"a", "k1", []string{"k1"}}, keyholder{"b", "k1", []string{"k2", "k1"}}, keyholder{"c", "k2", []string{"k2", "k1"}}
	for name, test := range map[string]struct {
		ours   []string
		others []keyholder
		lead   string
		wrong  string // words of the error
	}{
		"alone":                       {[]string{"k2", "k1"}, nil, "k2", ""},
		"beside one without it":       {[]string{"k2", "k1"}, []keyholder{old}, "k1", ""},
		"beside ones of all kinds":    {[]string{"k2", "k1"}, []keyholder{both, old}, "k1", ""},
		"all know it":                 {[]string{"k2", "k1"}, []keyholder{both, next}, "k2", ""},
		"the others mark with ours":   {[]string{"k1", "k2"}, []keyholder{next}, "k1", ""},
		"one marks with another":      {[]string{"k1"}, []keyholder{old, next}, "", "(c) marks with key k2"},
		"one knows none of ours":      {[]string{"k3", "k1"}, []keyholder{old, {"d", "k3", []string{"k3"}}}, "", "no key here is known to all"},
		"the old one is not ours any": {[]string{"k2"}, []keyholder{both}, "", "(b) marks with key k1"},
	} {
		lead, err := leader(test.ours, test.others)
		if lead != test.lead || (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %q, %v", name, lead, err)
		}
	}
}

func TestTheWordOfAReplicaIsVouchedForByAnyOfItsKeys(t *testing.T) {
	t.Parallel()
	key := func(id string) seal.Key {
		return seal.Key{ID: id, Key: access.NewSecret(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(id, 16))))}
	}
	marker := func(keys ...seal.Key) *seal.Marker {
		m, err := seal.NewMarker(keys)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	both := marker(key("k2"), key("k1"))
	text, err := keyholder{"b", "k2", []string{"k2", "k1"}}.tell(both)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		text string
		by   *seal.Marker
		want int
	}{
		"the same keys":     {text, both, 1},
		"the old one alone": {text, marker(key("k1")), 1},
		"another":           {text, marker(key("k3")), 0},
		"changed":           {strings.Replace(text, `\"k2\",\"knows`, `\"k9\",\"knows`, 1), both, 0},
		"without marks":     {text[:strings.Index(text, `,"marks"`)] + "}", both, 0},
		"no JSON":           {"x", both, 0},
	} {
		if got := heard([]string{test.text}, test.by); len(got) != test.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
