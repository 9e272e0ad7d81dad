package teams

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"elevate/bot"
)

const (
	// maxText is how long what is written into an input may be, where bot names no length.
	maxText = 3000
	// expandedOptions is how many options are shown at once; more go into a menu.
	expandedOptions = 5
	// maxFound keeps the options that a search begins with from taking all of a card's room, in UTF-16 characters.
	maxFound = 8_000
)

// filled is how a form stands.
type filled struct {
	Values map[string]string // what stands in its inputs, by name; those that are missing begin as bot says
	Errors map[string]string // what is wrong, by the input's name; "" is the form as a whole
	Nonce  string            // which opening of the form this is
	Back   press             // leads back to what it stands in the place of; zero: it stands in no place
	Found  []bot.Option      // what its Search input finds before anything is typed
}

// form is a form as a card. What it carries is its request's id: who may do what, the store says.
func (r renderer) form(ctx context.Context, f bot.Form, in filled) object {
	s := r.sheet()
	p := press{Form: f.Name, Request: f.Request, Nonce: in.Nonce}
	p.On = in.Back.On
	actions := sending(f, p, in.Back)
	s.reserve(actions)
	questions := asked(f, p, in)
	s.reserve(questions)
	s.add(title(f.Title))
	s.add(generalErrors(f, in.Errors))
	for _, part := range f.Intro {
		s.add(s.part(ctx, part, ""))
	}
	s.addReserved(questions)
	s.addReserved(actions)
	return s.finish()
}

// sending are the buttons below a form.
func sending(f bot.Form, p, back press) []object {
	style := bot.Primary
	if f.Name == bot.FormDeny {
		style = bot.Danger
	}
	p.Kind = pressSend
	actions := []object{styled(p.execute(label(f.Submit)), bot.Button{Style: style})}
	if back.Kind != "" {
		actions = append(actions, withoutInputs(back.execute("Go back")))
	}
	return actionSets(actions...)
}

// generalErrors are those that stand at no input.
func generalErrors(f bot.Form, wrong map[string]string) []object {
	var out []object
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		if !slices.ContainsFunc(f.Inputs, func(in bot.Input) bool { return in.Name == name }) {
			out = append(out, rich(look{wrong: true, bold: true}, bot.Say(wrong[name]))...)
		}
	}
	return out
}

// asked are a form's inputs, each with what is wrong with it, its hint, and a button where it decides what else is asked.
//
// Clients let nobody press a button while something that is required is missing. So a form with such a button requires no
// more than what the button is about, and bot says the rest when the form is sent.
func asked(f bot.Form, p press, in filled) []object {
	refreshes := slices.ContainsFunc(f.Inputs, func(i bot.Input) bool { return i.Refresh })
	var out []object
	for _, i := range f.Inputs {
		out = append(out, spaced("medium", []object{input(i, in, !refreshes || i.Refresh)})...)
		out = append(out, spaced("small", rich(look{wrong: true, bold: true}, bot.Say(in.Errors[i.Name])))...)
		out = append(out, spaced("small", rich(look{small: true}, bot.Say(i.Hint)))...)
		if i.Refresh {
			p.Kind = pressChange
			out = append(out, spaced("small", actionSets(p.execute(changes(i))))...)
		}
	}
	return out
}

// changes is what stands on the button that asks for the form again. Clients tell nobody of a choice by itself.
func changes(in bot.Input) string {
	if !boldable.MatchString(in.Label) {
		return "Update the form"
	}
	return "Update the form for this " + strings.ToLower(in.Label)
}

// input is one question; strict where the client checks the answer.
func input(in bot.Input, f filled, strict bool) object {
	out := object{"id": inputPrefix + in.Name, "label": label(in.Label)}
	begun, given := f.Values[in.Name]
	if in.Optional {
		out["label"] = label(in.Label) + " (optional)"
	} else if strict {
		out["isRequired"], out["errorMessage"] = true, "This is needed."
	}
	switch in.Kind {
	case bot.Choice, bot.Search:
		if !given && in.Initial != nil {
			begun = in.Initial.Value
		}
		choose(out, in, f, begun)
	default:
		if !given {
			begun = in.Text
		}
		write(out, in, begun, strict)
	}
	return out
}

// write makes an input one to write into.
func write(out object, in bot.Input, begun string, strict bool) {
	out["type"], out["isMultiline"] = "Input.Text", in.Kind == bot.Area
	most := min(cmp.Or(in.MaxLength, maxText), maxText)
	out["maxLength"] = most
	if begun != "" {
		out["value"] = bot.Cut(begun, most)
	}
	if strict && !in.Optional && in.MinLength > 1 {
		out["regex"] = fmt.Sprintf(`^[\s\S]{%d,}$`, min(in.MinLength, most))
		out["errorMessage"] = fmt.Sprintf("Write at least %d characters.", min(in.MinLength, most))
	}
}

// choose makes an input one to choose from. In a search the client asks for what is typed (application/search).
func choose(out object, in bot.Input, f filled, begun string) {
	out["type"] = "Input.ChoiceSet"
	if in.Kind == bot.Search {
		out["style"], out["placeholder"] = "filtered", "Type to search"
		out["choices.data"] = object{"type": "Data.Query", "dataset": in.Name}
		out["choices"] = found(in, f, begun)
	} else {
		out["style"], out["wrap"] = "compact", true
		if len(in.Options) <= expandedOptions && !slices.ContainsFunc(in.Options, parsedOption) {
			out["style"] = "expanded"
		}
		out["placeholder"] = "Choose"
		out["choices"] = choices(in.Options)
	}
	if begun != "" && slices.ContainsFunc(out["choices"].([]object), func(c object) bool { return c["value"] == begun }) {
		out["value"] = begun
	}
}

// found are the options that a search begins with: the one that is chosen, and the first of the others.
func found(in bot.Input, f filled, begun string) []object {
	options := f.Found
	if in.Initial != nil {
		options = append([]bot.Option{*in.Initial}, options...)
	}
	chosen := slices.IndexFunc(options, func(o bot.Option) bool { return o.Value == begun })
	switch {
	case chosen >= 0:
		options = append([]bot.Option{options[chosen]}, options...)
	case begun != "":
		options = append([]bot.Option{{Value: begun, Label: begun}}, options...)
	}
	all := choices(options)
	left := maxFound
	for n, c := range all {
		if left -= length(c); left < 0 && n > 0 {
			return all[:n]
		}
	}
	return all
}

// choices are options as Adaptive Cards have them, each value once.
func choices(options []bot.Option) []object {
	out := []object{}
	seen := map[string]bool{"": true} // no client takes an empty value
	for _, o := range options {
		if !seen[o.Value] {
			seen[o.Value] = true
			out = append(out, object{"title": optionTitle(o), "value": o.Value})
		}
	}
	return out
}

// optionTitle is how an option is called: with its detail, because many things may have one name.
func optionTitle(o bot.Option) string {
	title := o.Label
	if o.Detail != "" {
		title += " (" + o.Detail + ")"
	}
	return label(title)
}

// parsedOption tells whether a client could take something in an option's title for markdown. It does where all options
// are shown at once.
func parsedOption(o bot.Option) bool { return !harmless(optionTitle(o)) }
