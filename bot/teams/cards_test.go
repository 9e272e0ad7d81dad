package teams

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"elevate/bot"
	"elevate/bot/bottest"
	"elevate/bot/teams/teamsfake"
	"elevate/workflows/access"
)

var update = flag.Bool("update", false, "write the golden files anew")

// objectID is a person's account in the tenant.
func objectID(id access.PersonID) string {
	sum := sha256.Sum256([]byte(id))
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// cast is people who write in a tone, with accounts in Teams.
func cast(tone bottest.Tone) *bottest.Cast { return bottest.NewCast(tone, Name, objectID) }

// renders is a renderer that knows their accounts.
func renders(c *bottest.Cast) renderer {
	return renderer{account: func(ctx context.Context, id access.PersonID) string {
		account, err := c.AccountOf(ctx, id, Name)
		if err != nil {
			return ""
		}
		return account
	}}
}

// everybody has an account.
var everybody = renderer{account: func(_ context.Context, id access.PersonID) string { return objectID(id) }}

// tray is a chat that keeps the cards that it is to send.
type tray struct{ cards []bot.Card }

func (*tray) Name() string                                   { return Name }
func (*tray) Update(context.Context, string, bot.Card) error { return nil }
func (y *tray) Post(_ context.Context, _ bot.Address, c bot.Card) (string, error) {
	y.cards = append(y.cards, c)
	return "ref", nil
}

// everySaid are all cards that the bot sends and answers with, and all forms, by name.
func everySaid(t *testing.T, c *bottest.Cast) (map[string]bot.Card, map[string]bot.Form) {
	t.Helper()
	out, forms := c.Messages(t), map[string]bot.Form{}
	if len(out) < 20 {
		t.Errorf("only %d messages", len(out))
	}
	for name, a := range c.Answers(t) {
		if a.Card != nil {
			out[name] = *a.Card
		}
		if a.Form != nil {
			forms[name] = *a.Form
		}
	}
	sent := &tray{}
	c.SendDigest(t, sent, "19:access@thread.tacv2")
	if len(sent.cards) != 1 {
		t.Fatalf("%d digests", len(sent.cards))
	}
	out["digest"] = sent.cards[0]
	return out, forms
}

// rendered is everything that the bot sends, as Teams gets it, each once: every card, what buttons answer on top of a
// request's message, and every form, empty, filled in and complained about.
func rendered(t *testing.T, tone bottest.Tone) map[string]object {
	t.Helper()
	c := cast(tone)
	r, ctx := renders(c), t.Context()
	out, seen := map[string]object{}, map[string]bool{}
	add := func(name string, card object) {
		if text := string(raw(t, card)); !seen[text] {
			seen[text] = true
			out[name] = decoded(t, card)
		}
	}
	all, forms := everySaid(t, c)
	message, ok := all["pending submitted request"]
	if !ok {
		t.Fatal("there is no request's message")
	}
	for name, card := range all {
		if strings.HasPrefix(name, "click") {
			add(name+" on top", r.card(ctx, card, message))
			continue
		}
		add(name, r.card(ctx, card))
	}
	found := c.Bot(t).Suggest(ctx, bot.Who{Chat: Name, Account: objectID(bottest.Ana)}, "role", "")
	if len(found) != 100 {
		t.Errorf("%d of 10,000 roles are suggested, want 100", len(found))
	}
	values := map[string]string{"role": "prod_db_admin", "justification": tone.Justification, "ticket": tone.Ticket, "reason": tone.Reason}
	wrong := map[string]string{"": tone.Reason, "role": tone.Role, "justification": tone.Ticket, "reason": tone.Person, "elsewhere": tone.Ticket}
	for name, f := range forms {
		add(name+" form", r.form(ctx, f, filled{Nonce: "N0"}))
		add(name+" form again", r.form(ctx, f, filled{Values: values, Errors: wrong, Nonce: "N0", Back: toMessage, Found: found}))
	}
	if len(out) < 60 {
		t.Errorf("only %d cards", len(out))
	}
	return out
}

// decoded is what Teams would read of something that is sent as JSON.
func decoded(t testing.TB, v any) object {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out object
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// walk visits every object of decoded JSON.
func walk(v any, see func(object)) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			walk(each, see)
		}
	case object:
		see(v)
		for _, each := range v {
			walk(each, see)
		}
	}
}

// compiled is a schema that is compiled once.
var compiled struct {
	once   sync.Once
	schema *jsonschema.Schema
	err    error
}

// cardSchema is Microsoft's of Adaptive Cards 1.5.
func cardSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	path := teamsfake.Testdata(t, "adaptivecards", "adaptive-card-1.5.0.json")
	compiled.once.Do(func() { compiled.schema, compiled.err = jsonschema.NewCompiler().Compile(path) })
	if compiled.err != nil {
		t.Fatal(compiled.err)
	}
	return compiled.schema
}

// check fails where Teams would not take a card, or not show it as it is meant.
func check(t *testing.T, name string, card object) {
	t.Helper()
	for _, fault := range teamsfake.CheckCard(card) {
		t.Errorf("%s: %s", name, fault)
	}
	if err := cardSchema(t).Validate(without(card)); err != nil {
		t.Errorf("%s: %v", name, err)
	}
	raw, err := json.Marshal(card)
	if err != nil {
		t.Fatal(err)
	}
	if n := 2 * len(utf16.Encode([]rune(string(raw)))); n > 60_000 {
		t.Errorf("%s: %d bytes", name, n)
	}
	for tag, n := range tags(card) {
		if n.stands != 1 || n.entities != 1 {
			t.Errorf("%s: %s stands %d times on the card and has %d entities", name, tag, n.stands, n.entities)
		}
	}
	walk(card, func(o object) {
		if row, _ := o["actions"].([]any); len(row) > 6 {
			t.Errorf("%s: %d buttons in a row", name, len(row))
		}
		if o["type"] == "TextBlock" && o["wrap"] != true {
			t.Errorf("%s: cut off on a phone: %v", name, o["text"])
		}
	})
}

// without is a card without the things that Teams documents and Microsoft's schema of 1.5 does not know: msteams, and of a
// search where it finds and that it is one.
func without(card object) any {
	top := map[string]any{}
	for key, value := range card {
		if key != "msteams" {
			top[key] = value
		}
	}
	var strip func(v any) any
	strip = func(v any) any {
		switch v := v.(type) {
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = strip(v[i])
			}
			return out
		case map[string]any:
			out := map[string]any{}
			for key, value := range v {
				switch {
				case v["type"] == "Input.ChoiceSet" && key == "choices.data":
				case v["type"] == "Input.ChoiceSet" && key == "style" && value == "filtered" && v["choices.data"] != nil:
				default:
					out[key] = strip(value)
				}
			}
			return out
		}
		return v
	}
	return strip(top)
}

type count struct{ stands, entities int }

var tag = regexp.MustCompile(`<at>[^<>]*</at>`)

// tags counts the mentions of a card and their entities.
func tags(card object) map[string]count {
	out := map[string]count{}
	walk(card["body"], func(o object) {
		if o["type"] != "TextBlock" {
			return
		}
		for _, found := range tag.FindAllString(o["text"].(string), -1) {
			n := out[found]
			n.stands++
			out[found] = n
		}
	})
	teams, _ := card["msteams"].(object)
	entities, _ := teams["entities"].([]any)
	for _, e := range entities {
		text := e.(object)["text"].(string)
		n := out[text]
		n.entities++
		out[text] = n
	}
	return out
}

// everything runs a test for everything that the bot sends, in every tone.
func everything(t *testing.T, test func(t *testing.T, tone bottest.Tone, all map[string]object)) {
	t.Helper()
	cardSchema(t)
	for _, tone := range bottest.Tones() {
		t.Run(tone.Name, func(t *testing.T) {
			t.Parallel()
			test(t, tone, rendered(t, tone))
		})
	}
}

// golden compares a card with the file of a name.
func golden(t *testing.T, name string, card object) {
	t.Helper()
	var got bytes.Buffer
	enc := json.NewEncoder(&got)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(card); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s has changed; run with -update when that is meant\ngot:\n%s", path, got.Bytes())
	}
}
