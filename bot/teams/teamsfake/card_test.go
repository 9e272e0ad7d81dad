package teamsfake

import (
	"slices"
	"strings"
	"testing"
)

// TestMarkdownIsReadAsClientsReadIt: what is marked loses its marks, and what is escaped is what it was.
func TestMarkdownIsReadAsClientsReadIt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain words, with (brackets) and 2 * 3 = 6":      "plain words, with (brackets) and 2 * 3 = 6",
		"**bold** and _italic_ and ***both***":            "bold and italic and both",
		"*em* __strong__ ~~gone~~ `code` ``a`b``":         "em strong gone code a`b",
		"a~b~c, ~one~, ** not bold **, prod_db_admin":     "a~b~c, ~one~, ** not bold **, prod_db_admin",
		"**open and _closed_":                             "**open and closed",
		"[words](https://evil.example) ![alt](x.png)":     "words alt",
		"[**bold** link](x) [none] (x)":                   "bold link [none] (x)",
		"<https://evil.example|approved> <b>b</b> <a:>":   "https://evil.example|approved <b>b</b> <a:>",
		"&amp; &lt; &#42; & < > &nosuch;":                 "& < * & < > &nosuch;",
		`\*no\* \[no\](x) \_no\_ \&amp; \\ \a \<b`:        `*no* [no](x) _no_ &amp; \ \a <b`,
		"# heading\n\n> quote\n\n1. one\n2. two\n- three": "heading\nquote\none\ntwo\nthree",
		"one\nbreak":            "one break",
		"two\n\nbreaks":         "two\nbreaks",
		"\\# no heading":        "# no heading",
		"above\n\n---\n\nbelow": "above\n\nbelow",
		"`not closed":           "`not closed",
		"a `` b ` c":            "a `` b ` c",
	} {
		if got := Markdown(in); got != want {
			t.Errorf("%q is read as %q, want %q", in, got, want)
		}
	}
}

// TestDatesAreShownWhereTheyAreWrittenExactly.
func TestDatesAreShownWhereTheyAreWrittenExactly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"on {{DATE(2026-11-23T14:05:00Z, SHORT)}} at {{TIME(2026-11-23T14:05:00Z)}}": "on Mon, Nov 23, 2026 at 2:05 PM",
		"{{DATE(2026-11-23T23:05:00-02:00,LONG)}}":                                   "Tuesday, November 24, 2026",
		"{{DATE(2026-11-23T14:05:00Z)}} {{DATE(2026-11-23T14:05:00Z, COMPACT)}}":     "11/23/2026 11/23/2026",
		"{{date(2026-11-23T14:05:00Z)}} {{DATE(2026-11-23)}} {{TIME(14:05)}}":        "{{date(2026-11-23T14:05:00Z)}} {{DATE(2026-11-23)}} {{TIME(14:05)}}",
		"{{TIME(2026-11-23T14:05:00Z, SHORT)}} {{DATE(2026-13-23T14:05:00Z)}}":       "{{TIME(2026-11-23T14:05:00Z, SHORT)}} {{DATE(2026-13-23T14:05:00Z)}}",
		"{{ DATE(2026-11-23T14:05:00Z)}} {{DATE(2026-11-23T14:05:00.5Z)}}":           "{{ DATE(2026-11-23T14:05:00Z)}} {{DATE(2026-11-23T14:05:00.5Z)}}",
	} {
		if got := Dated(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}

// sampler is a card with something of everything.
func sampler() object {
	run := func(words, color string) object { return object{"type": "TextRun", "text": words, "color": color} }
	return object{
		"type": "AdaptiveCard", "version": "1.5",
		"msteams": object{"entities": []any{
			object{"type": "mention", "text": "<at>Ana *</at>", "mentioned": object{"id": ObjectID("ana"), "name": "Ana *"}},
			object{"type": "mention", "text": "<at>Ben</at>", "mentioned": object{"id": ObjectID("ben"), "name": "Ben"}},
		}},
		"body": []any{
			object{"type": "TextBlock", "text": "**Title** for <at>Ana *</at>"},
			object{"type": "RichTextBlock", "inlines": []any{"**raw** ", run("<at>Ben</at> {{TIME(2026-11-23T14:05:00Z)}}", "")}},
			object{"type": "TextBlock", "text": "hidden", "isVisible": false},
			object{"type": "ColumnSet", "columns": []any{object{"type": "Column", "items": []any{object{"type": "TextBlock", "text": "in a column"}}}}},
			object{"type": "FactSet", "facts": []any{object{"title": "_Risk_", "value": "**high**"}}},
			object{"type": "Input.Text", "id": "why", "label": "*Why?*", "value": "because", "isRequired": true, "maxLength": 10.0, "regex": "^.{3,}$"},
			object{"type": "RichTextBlock", "inlines": []any{run("Too ", "attention"), run("short.", "Attention")}},
			object{"type": "RichTextBlock", "inlines": []any{run("A hint.", "")}},
			object{"type": "ActionSet", "actions": []any{object{"type": "Action.Execute", "title": "Change", "verb": "change"}}},
			object{"type": "Input.ChoiceSet", "id": "role", "label": "Role", "choices": []any{object{"title": "One", "value": "1"}},
				"choices.data": object{"type": "Data.Query", "dataset": "roles"}},
			object{"type": "TextBlock", "text": "Choose **one**.", "color": "attention"},
			object{"type": "ActionSet", "actions": []any{
				object{"type": "Action.ShowCard", "title": "Approve", "card": object{
					"type": "AdaptiveCard", "body": []any{object{"type": "TextBlock", "text": "Sure?"}},
					"actions": []any{object{"type": "Action.OpenUrl", "title": "Read"}, object{"type": "Action.Execute", "title": "Yes", "verb": "yes"}},
				}},
				object{"type": "Action.Execute", "title": "Gone", "isVisible": false},
			}},
		},
		"actions": []any{object{"type": "Action.Execute", "title": "Send", "verb": "send"}},
	}
}

// TestCardsAreReadAsPeopleSeeThem.
func TestCardsAreReadAsPeopleSeeThem(t *testing.T) {
	t.Parallel()
	card := sampler()
	want := "Title for Ana *\n**raw** <at>Ben</at> 2:05 PM\nin a column\nRisk high\n*Why?*\nToo short.\nA hint.\nRole\nChoose one.\n"
	if got := Text(card); got != want {
		t.Errorf("it is read as %q, want %q", got, want)
	}
	if got := Labels(card); !slices.Equal(got, []string{"Change", "Approve", "Send"}) {
		t.Errorf("the buttons are %q", got)
	}
	if got := Mentions(card); !slices.Equal(got, []string{ObjectID("ana")}) {
		t.Errorf("called are %q: Ben stands where nobody is called", got)
	}
	in := Inputs(card)
	if len(in) != 2 || in[0].ID != "why" || in[0].Value != "because" || !in[0].Required || in[0].MaxLength != 10 || in[0].Error != "Too short." ||
		!slices.Equal(in[0].Below, []string{"change"}) || in[1].Dataset != "roles" || in[1].Error != "Choose one." || in[1].Choices[0].Title != "One" {
		t.Errorf("the inputs are %+v", in)
	}
	if b, err := find(card, "Approve"); err != nil || text(b.action, "verb") != "yes" || len(b.cards) != 2 {
		t.Errorf("to approve presses %v, %v", b, err)
	}
	if _, err := find(card, "Yes"); err == nil {
		t.Error("a button of a card that is not open was found")
	}
}

// TestCardsThatTeamsRefusesAreFound.
func TestCardsThatTeamsRefusesAreFound(t *testing.T) {
	t.Parallel()
	if broken := CheckCard(sampler()); len(broken) != 1 || !strings.Contains(broken[0], "mentions nobody") {
		t.Errorf("the only thing wrong is a mention that is not shown: %q", broken)
	}
	for what, change := range map[string]func(object){
		"type":    func(c object) { c["type"] = "Card" },
		"version": func(c object) { c["version"] = "1.6" },
		"no id":   func(c object) { c["body"] = []any{object{"type": "Input.Text", "label": "x"}} },
		"an id twice": func(c object) {
			c["body"] = []any{object{"type": "Input.Text", "id": "x"}, object{"type": "Input.Text", "id": "x"}}
		},
		"no label": func(c object) { c["body"] = []any{object{"type": "Input.Text", "id": "x", "isRequired": true}} },
		"no title": func(c object) { c["actions"] = []any{object{"type": "Action.Execute"}} },
		"mentioned whom": func(c object) {
			c["body"] = []any{object{"type": "TextBlock", "text": "<at>x</at>"}}
			c["msteams"] = object{"entities": []any{object{"type": "mention", "text": "<at>x</at>", "mentioned": object{"name": "x"}}}}
		},
	} {
		card := plainCard()
		if broken := CheckCard(card); len(broken) > 0 {
			t.Fatalf("a good card: %q", broken)
		}
		change(card)
		if broken := CheckCard(card); len(broken) != 1 {
			t.Errorf("%s: %q, want one complaint", what, broken)
		}
	}
}
