package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"elevate/bot"
	"elevate/workflows/access"
)

const (
	maxModalTitle = 24
	maxLabel      = 2000
	maxOptions    = 100
	// radioOptions is how many options are shown at once; more go into a menu.
	radioOptions = 5
	// callbackPrefix marks our modals; the form's name follows.
	callbackPrefix = "elevate."
	// inputPrefix marks the blocks of inputs; the input's name follows.
	inputPrefix = "input."
)

// form is a form as a modal. Its metadata is the request's id alone: who may do what, the store says.
func (r renderer) form(ctx context.Context, f bot.Form) slack.ModalViewRequest {
	l := newLayout(viewBlocks-len(f.Inputs), viewLength)
	for _, p := range f.Intro {
		l.add(r.part(ctx, p)...)
	}
	var blocks []slack.Block
	if len(f.Intro) > 0 {
		blocks = l.finish()
	}
	for _, in := range f.Inputs {
		blocks = append(blocks, input(in))
	}
	return slack.ModalViewRequest{
		Type: slack.VTModal, CallbackID: callbackPrefix + string(f.Name), PrivateMetadata: string(f.Request),
		Title: plain(f.Title, maxModalTitle), Submit: plain(f.Submit, maxModalTitle), Close: plain("Cancel", maxModalTitle),
		Blocks: slack.Blocks{BlockSet: blocks},
	}
}

// formOf reads which form a view is, and which request it speaks of; false where it is none of ours.
func formOf(v view) (bot.FormName, access.RequestID, bool) {
	name, ok := strings.CutPrefix(v.Callback, callbackPrefix)
	if !ok {
		return "", "", false
	}
	id, ok := requestOf(v.Metadata)
	return bot.FormName(name), id, ok
}

// requestOf reads a request id that came back from Slack: none, or a well-formed one.
func requestOf(text string) (access.RequestID, bool) {
	if text == "" {
		return "", true
	}
	id, err := access.ParseID(text)
	return id, err == nil && string(id) == text
}

func input(in bot.Input) slack.Block {
	b := slack.NewInputBlock(inputPrefix+in.Name, plain(in.Label, maxLabel), nil, element(in))
	if in.Kind == bot.Choice {
		// Slack keeps what was chosen as long as the ids stay. Other options are another question.
		b.BlockID += "." + fingerprint(in.Options)
	}
	if in.Hint != "" {
		b.Hint = plain(in.Hint, maxLabel)
	}
	b.Optional, b.DispatchAction = in.Optional, in.Refresh
	return b
}

func element(in bot.Input) slack.BlockElement {
	switch in.Kind {
	case bot.Search:
		atOnce := 0 // the first options show before anything is typed
		e := slack.NewOptionsSelectBlockElement(slack.OptTypeExternal, plain("Type to search", maxText), in.Name)
		e.MinQueryLength = &atOnce
		if in.Initial != nil && choosable(*in.Initial) {
			e.InitialOption = slackOption(*in.Initial)
		}
		return e
	case bot.Choice:
		all := options(in.Options)
		if len(all) > radioOptions {
			e := slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plain("Choose", maxText), in.Name, all...)
			e.InitialOption = chosen(all, in.Initial)
			return e
		}
		e := slack.NewRadioButtonsBlockElement(in.Name, all...)
		e.InitialOption = chosen(all, in.Initial)
		return e
	}
	e := slack.NewPlainTextInputBlockElement(nil, in.Name)
	e.Multiline = in.Kind == bot.Area
	e.MinLength, e.MaxLength = min(in.MinLength, maxText), min(in.MaxLength, maxText)
	if e.MaxLength == 0 {
		e.MaxLength = maxText
	}
	e.InitialValue = bot.Cut(in.Text, e.MaxLength)
	return e
}

func options(in []bot.Option) []*slack.OptionBlockObject {
	out := make([]*slack.OptionBlockObject, 0, len(in))
	for _, o := range in {
		if choosable(o) && len(out) < maxOptions {
			out = append(out, slackOption(o))
		}
	}
	return out
}

// choosable tells whether Slack takes an option's value, which cannot be shortened as its label can.
func choosable(o bot.Option) bool {
	return o.Value != "" && utf8.RuneCountInString(o.Value) <= maxOption
}

// chosen is the option to begin with. Slack wants it to equal one of the options.
func chosen(all []*slack.OptionBlockObject, o *bot.Option) *slack.OptionBlockObject {
	for _, each := range all {
		if o != nil && each.Value == o.Value {
			return each
		}
	}
	return nil
}

func slackOption(o bot.Option) *slack.OptionBlockObject {
	out := slack.NewOptionBlockObject(o.Value, plain(o.Label, maxOption), nil)
	if o.Detail != "" {
		out.Description = plain(o.Detail, maxOption)
	}
	return out
}

func fingerprint(options []bot.Option) string {
	h := sha256.New()
	for _, o := range options {
		h.Write([]byte(o.Value + "\x00" + o.Label + "\x00"))
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// values are what was filled in, by the input's name.
func (v view) values() map[string]string {
	out := map[string]string{}
	for _, block := range v.State.Values {
		for name, e := range block {
			switch {
			case e.Selected != nil:
				out[name] = e.Selected.Value
			case e.Value != nil:
				out[name] = *e.Value
			}
		}
	}
	return out
}

// inputs are the ids of the input blocks, by the input's name.
func (v view) inputs() map[string]string {
	out := map[string]string{}
	for block, elements := range v.State.Values {
		for name := range elements {
			if strings.HasPrefix(block, inputPrefix) {
				out[name] = block
			}
		}
	}
	return out
}
