package teams

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/workflows/access"
)

func TestPressesAreRead(t *testing.T) {
	t.Parallel()
	const id = string(bottest.Request)
	for _, c := range []struct {
		verb, data string
		want       press
	}{
		{"elevate.click.approve", `{"request":"` + id + `","on":"request"}`, press{Kind: pressClick, Action: bot.ActApprove, Request: bottest.Request, On: "request"}},
		{"elevate.click.request", ``, press{Kind: pressClick, Action: bot.ActRequest}},
		{"elevate.click.request", `null`, press{Kind: pressClick, Action: bot.ActRequest}},
		{"elevate.click.of_another-Version2", `{}`, press{Kind: pressClick, Action: "of_another-Version2"}},
		{"elevate.click.details", `{"request":"` + id + `","in.role":"db","state":"active","msteams":{"x":1}}`, press{Kind: pressClick, Action: bot.ActDetails, Request: bottest.Request}},
		{"elevate.send.deny", `{"request":"` + id + `","form":"N0","in.reason":"not *now*\n"}`, press{Kind: pressSend, Form: bot.FormDeny, Request: bottest.Request, Nonce: "N0", Values: map[string]string{"reason": "not *now*\n"}}},
		{"elevate.send.request", `{"in.role":null,"in.ticket":""}`, press{Kind: pressSend, Form: bot.FormRequest, Values: map[string]string{"role": "", "ticket": ""}}},
		{"elevate.change.request", `{"form":"N0","in.role":"db"}`, press{Kind: pressChange, Form: bot.FormRequest, Nonce: "N0", Values: map[string]string{"role": "db"}}},
		{"elevate.view", `{"request":"` + id + `","in.reason":"x"}`, press{Kind: pressView, Request: bottest.Request}},
		{"elevate.home", `{}`, press{Kind: pressHome}},
	} {
		if got, ok := readExecute(c.verb, json.RawMessage(c.data)); !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s is read as %+v, %t", c.verb, c.data, got, ok)
		}
		if strings.HasPrefix(c.data, "{") {
			value := strings.Replace(c.data, "{", `{"verb":"`+c.verb+`",`, 1)
			if got, ok := readSubmit(json.RawMessage(strings.Replace(value, ",}", "}", 1))); !ok || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s is read as %+v, %t", value, got, ok)
			}
		}
	}
}

func TestWhatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	const ok = `{"request":"07kq4-m2xp9"}`
	many := map[string]string{}
	for i := range maxInputs + 1 {
		many[fmt.Sprintf("in.x%d", i)] = ""
	}
	for _, c := range [][2]string{
		{"", ok}, {"approve", ok}, {"elevate", ok}, {"elevate.", ok}, {"elevate.approve", ok}, {"elevate.click", ok}, {"elevate.click.", ok}, {"Elevate.click.approve", ok},
		{"elevate.click.a.b", ok}, {"elevate.click.a b", ok}, {"elevate.click." + strings.Repeat("a", 41), ok}, {"elevate.click.<b>", ok}, {"elevate.send", ok}, {"elevate.send.", ok},
		{"elevate.view.", ok}, {"elevate.view.x", ok}, {"elevate.home.x", ok}, {"xelevate.home", ok},
		{"elevate.view", `{"request":"07kq4"}`}, {"elevate.view", `{"request":" 07kq4-m2xp9"}`}, {"elevate.view", `{"request":"07KQ4-M2XP9"}`}, {"elevate.view", `{"request":7}`},
		{"elevate.view", `{"request":{"id":"07kq4-m2xp9"}}`}, {"elevate.view", `[]`}, {"elevate.view", `"x"`}, {"elevate.view", `{"request":`}, {"elevate.view", "\xff"},
		{"elevate.view", `{"on":"<request>"}`}, {"elevate.view", `{"on":1}`}, {"elevate.view", `{"form":"` + strings.Repeat("N", 41) + `"}`},
		{"elevate.send.deny", `{"in.reason":1}`}, {"elevate.send.deny", `{"in.reason":["x"]}`}, {"elevate.send.deny", `{"in.":"x"}`}, {"elevate.send.deny", `{"in.a b":"x"}`},
		{"elevate.send.deny", `{"in.reason":"` + strings.Repeat("x", maxInput+1) + `"}`}, {"elevate.send.deny", string(raw(t, many))},
		{"elevate.send.deny", `{"x":"` + strings.Repeat("x", maxPress) + `"}`},
	} {
		if got, read := readExecute(c[0], json.RawMessage(c[1])); read || !reflect.DeepEqual(got, press{}) {
			t.Errorf("%q %.60q is read as %+v", c[0], c[1], got)
		}
	}
	for _, value := range []string{"", "null", "{}", "[]", `"elevate.home"`, `{"verb":1}`, `{"verb":"x"}`, ok, `{"Verb":"elevate.home"}`, `{"verb":"elevate.view","request":"x"}`} {
		if got, read := readSubmit(json.RawMessage(value)); read || !reflect.DeepEqual(got, press{}) {
			t.Errorf("%q is read as %+v", value, got)
		}
	}
}

// FuzzPress sends anything at all: what is read of it could have been made here.
func FuzzPress(f *testing.F) {
	f.Add("elevate.click.approve", []byte(`{"request":"07kq4-m2xp9","on":"request"}`))
	f.Add("elevate.send.request", []byte(`{"form":"N0","in.role":"db","verb":"elevate.send.request"}`))
	f.Add("elevate.view", []byte(`{"request":"","request":"07kq4-m2xp9"}`))
	f.Fuzz(func(t *testing.T, verb string, data []byte) {
		for _, read := range []func() (press, bool){
			func() (press, bool) { return readExecute(verb, data) }, func() (press, bool) { return readSubmit(data) },
		} {
			p, ok := read()
			if !ok {
				if !reflect.DeepEqual(p, press{}) {
					t.Errorf("something is left of what was refused: %+v", p)
				}
				continue
			}
			if _, err := access.ParseID(string(p.Request)); p.Request != "" && err != nil {
				t.Errorf("a request %q: %v", p.Request, err)
			}
			sent := p.data()
			for name, value := range p.Values {
				if len(value) > maxInput {
					t.Errorf("%d bytes in %s", len(value), name)
				}
				sent[inputPrefix+name] = value
			}
			if again, ok := readExecute(p.verb(), raw(t, sent)); !ok || !reflect.DeepEqual(again, p) {
				t.Errorf("%+v is read as %+v, %t", p, again, ok)
			}
		}
	})
}
