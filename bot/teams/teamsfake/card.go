package teamsfake

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// object is decoded JSON.
type object = map[string]any

func text(o object, name string) string {
	v, _ := o[name].(string)
	return v
}

func list(o object, name string) []any {
	v, _ := o[name].([]any)
	return v
}

func part(o object, name string) object {
	v, _ := o[name].(object)
	return v
}

// pieces visits the elements of a card in the order in which they are seen. What is hidden is left out, and so is what
// an Action.ShowCard would open.
func pieces(v any, see func(object)) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			pieces(each, see)
		}
	case object:
		if v["isVisible"] == false {
			return
		}
		see(v)
		for _, name := range []string{"body", "items", "columns", "rows", "cells"} {
			pieces(v[name], see)
		}
	}
}

// Text is what a person reads on a card, a line for each text. Labels of buttons are not in it.
func Text(card object) string {
	var out strings.Builder
	pieces(card, func(e object) {
		switch {
		case e["type"] == "TextBlock":
			out.WriteString(parsed(card, text(e, "text")) + "\n")
		case e["type"] == "RichTextBlock":
			out.WriteString(runs(e) + "\n")
		case e["type"] == "FactSet":
			for _, f := range list(e, "facts") {
				fact, _ := f.(object)
				out.WriteString(parsed(card, text(fact, "title")) + " " + parsed(card, text(fact, "value")) + "\n")
			}
		case strings.HasPrefix(text(e, "type"), "Input."):
			out.WriteString(text(e, "label") + text(e, "title") + "\n")
		}
	})
	return out.String()
}

// runs is what a RichTextBlock shows: its runs to the letter, apart from dates and times.
func runs(block object) string {
	var out strings.Builder
	for _, inline := range list(block, "inlines") {
		switch inline := inline.(type) {
		case string:
			out.WriteString(Dated(inline))
		case object:
			out.WriteString(Dated(text(inline, "text")))
		}
	}
	return out.String()
}

// parsed is what a text shows that clients parse: mentions by name, dates and times, then Markdown.
func parsed(card object, words string) string {
	words = Dated(words)
	var names []string
	for _, m := range mentions(card) {
		words = strings.ReplaceAll(words, text(m, "text"), fmt.Sprintf("\ue000%d\ue001", len(names)))
		names = append(names, text(part(m, "mentioned"), "name"))
	}
	words = Markdown(words)
	for i, name := range names {
		words = strings.ReplaceAll(words, fmt.Sprintf("\ue000%d\ue001", i), name)
	}
	return words
}

func mentions(card object) []object {
	var out []object
	for _, e := range list(part(card, "msteams"), "entities") {
		if m, _ := e.(object); m["type"] == "mention" {
			out = append(out, m)
		}
	}
	return out
}

// Mentions are the ids of those whom a card notifies: entities whose text stands where clients look for mentions.
func Mentions(card object) []string {
	var words strings.Builder
	pieces(card, func(e object) {
		words.WriteString(text(e, "text") + "\n")
		for _, f := range list(e, "facts") {
			fact, _ := f.(object)
			words.WriteString(text(fact, "title") + "\n" + text(fact, "value") + "\n")
		}
	})
	var out []string
	for _, m := range mentions(card) {
		if id := text(part(m, "mentioned"), "id"); strings.Contains(words.String(), text(m, "text")) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// actions are the buttons of a card, in order; those of the cards that they open are not among them.
func actions(card object) []object {
	var out []object
	add := func(all []any) {
		for _, a := range all {
			if action, _ := a.(object); action["isVisible"] != false {
				out = append(out, action)
			}
		}
	}
	pieces(card["body"], func(e object) {
		if e["type"] == "ActionSet" {
			add(list(e, "actions"))
		}
	})
	add(list(card, "actions"))
	return out
}

// Labels are those of the buttons, in order. An Action.ShowCard shows its own title alone.
func Labels(card object) []string {
	var out []string
	for _, a := range actions(card) {
		out = append(out, text(a, "title"))
	}
	return out
}

// Choice is something to choose.
type Choice struct{ Title, Value string }

// Input is one input of a card.
type Input struct {
	ID, Kind, Label, Value string
	Required               bool
	MaxLength              int
	Regex                  string
	Choices                []Choice
	Dataset                string   // of a search
	Error                  string   // shown beside it: red words between it and the next input
	Below                  []string // verbs of the buttons between it and the next input
}

// Inputs are those of a card, in order.
func Inputs(card object) []Input {
	var out []Input
	pieces(card, func(e object) {
		kind, isInput := strings.CutPrefix(text(e, "type"), "Input.")
		switch {
		case isInput:
			in := Input{ID: text(e, "id"), Kind: kind, Label: text(e, "label"), Value: text(e, "value"), Regex: text(e, "regex"),
				Dataset: text(part(e, "choices.data"), "dataset")}
			in.Required, _ = e["isRequired"].(bool)
			if n, ok := e["maxLength"].(float64); ok {
				in.MaxLength = int(n)
			}
			for _, c := range list(e, "choices") {
				choice, _ := c.(object)
				in.Choices = append(in.Choices, Choice{Title: text(choice, "title"), Value: text(choice, "value")})
			}
			out = append(out, in)
		case len(out) > 0 && e["type"] == "ActionSet":
			for _, a := range list(e, "actions") {
				action, _ := a.(object)
				out[len(out)-1].Below = append(out[len(out)-1].Below, text(action, "verb"))
			}
		case len(out) > 0 && strings.EqualFold(text(e, "color"), "attention"):
			out[len(out)-1].Error += parsed(card, text(e, "text"))
		case len(out) > 0 && e["type"] == "RichTextBlock" && red(e):
			out[len(out)-1].Error += runs(e)
		}
	})
	return out
}

// red tells whether all the runs of a block are red.
func red(block object) bool {
	all := list(block, "inlines")
	return len(all) > 0 && !slices.ContainsFunc(all, func(run any) bool {
		r, _ := run.(object)
		return !strings.EqualFold(text(r, "color"), "attention")
	})
}

var called = regexp.MustCompile(`(?s)^<at>.+</at>$`)

// CheckCard tells what Teams would refuse about a card, or would not show as it was meant. Schema and size are left to
// others.
func CheckCard(card object) []string {
	var broken []string
	if card["type"] != "AdaptiveCard" {
		broken = append(broken, fmt.Sprintf("the type is %v", card["type"]))
	}
	if card["version"] != "1.5" {
		broken = append(broken, fmt.Sprintf("the version is %v, want 1.5", card["version"]))
	}
	ids := map[string]bool{}
	for _, in := range Inputs(card) {
		switch {
		case in.ID == "":
			broken = append(broken, "an input without an id")
		case ids[in.ID]:
			broken = append(broken, fmt.Sprintf("two inputs %q", in.ID))
		case in.Required && in.Label == "":
			broken = append(broken, fmt.Sprintf("the input %q is required and has no label", in.ID))
		}
		ids[in.ID] = true
	}
	for _, a := range actions(card) {
		if text(a, "title") == "" {
			broken = append(broken, "a button without a title")
		}
	}
	found := Mentions(card)
	for _, m := range mentions(card) {
		id := text(part(m, "mentioned"), "id")
		if id == "" || !called.MatchString(text(m, "text")) || !slices.Contains(found, id) {
			broken = append(broken, fmt.Sprintf("a mention that mentions nobody: %v", m))
		}
	}
	return broken
}
