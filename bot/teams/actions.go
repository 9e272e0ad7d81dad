package teams

import (
	"encoding/json"
	"regexp"
	"strings"

	"elevate/bot"
	"elevate/workflows/access"
)

// pressKind is what a press asks for.
type pressKind string

const (
	pressClick  pressKind = "click"  // a bot.Button
	pressSend   pressKind = "send"   // a form is sent off
	pressChange pressKind = "change" // a form is asked for again, for what was filled in so far
	pressView   pressKind = "view"   // a request's message, as the person sees it
	pressHome   pressKind = "home"   // the person's own page
)

// press is what somebody pressed, or what their client asks for by itself. Who may do it, and how the request stands, the
// store says: a press carries neither.
type press struct {
	Kind    pressKind
	Action  bot.Action       // of a click
	Form    bot.FormName     // of a send and a change
	Request access.RequestID // empty: none
	Nonce   string           // which opening of the form it is
	On      string           // the name of the card that it stands on
	Values  map[string]string
	// Code was typed into the input of that name. It is recorded sealed, as Sealed, or not at all.
	Code   access.Secret `json:"-"`
	Sealed string        `json:",omitempty"`
}

const (
	// verbPrefix marks the verbs that are ours; the kind of press follows, and what it is of.
	verbPrefix = "elevate."
	// inputPrefix marks the ids of inputs; the input's name follows.
	inputPrefix = "in."

	// The most that is read of what a client sends. A form's largest input has 3,000 characters.
	maxPress  = 128 << 10
	maxInputs = 20
	maxInput  = 16 << 10
)

// verb says what is pressed.
func (p press) verb() string {
	verb := verbPrefix + string(p.Kind)
	switch p.Kind {
	case pressClick:
		return verb + "." + string(p.Action)
	case pressSend, pressChange:
		return verb + "." + string(p.Form)
	}
	return verb
}

// data is what comes back with it. Clients add the inputs.
func (p press) data() object {
	data := object{}
	for key, value := range map[string]string{"request": string(p.Request), "on": p.On, "form": p.Nonce} {
		if value != "" {
			data[key] = value
		}
	}
	return data
}

// execute is a button for it. Clients that do not know Action.Execute send a message with the verb in its data instead.
func (p press) execute(title string) object {
	data := p.data()
	data["verb"] = p.verb()
	return object{
		"type": "Action.Execute", "title": title, "verb": p.verb(), "data": p.data(),
		"fallback": object{"type": "Action.Submit", "title": title, "data": data},
	}
}

// withoutInputs keeps an action from sending the card's inputs, and from asking for those that are required.
func withoutInputs(action object) object {
	action["associatedInputs"] = "none"
	if fallback, ok := action["fallback"].(object); ok {
		fallback["associatedInputs"] = "none"
	}
	return action
}

// readExecute reads the action of an adaptiveCard/action invoke; false where it is none of ours, or mangled.
func readExecute(verb string, data json.RawMessage) (press, bool) {
	fields, ok := readFields(data)
	if !ok {
		return press{}, false
	}
	return read(verb, fields)
}

// readSubmit reads the value of a message that a client sent which knows no Action.Execute.
func readSubmit(value json.RawMessage) (press, bool) {
	fields, ok := readFields(value)
	verb, named := text(fields, "verb")
	if !ok || !named {
		return press{}, false
	}
	return read(verb, fields)
}

func readFields(data json.RawMessage) (map[string]json.RawMessage, bool) {
	if len(data) > maxPress {
		return nil, false
	}
	var fields map[string]json.RawMessage
	if len(data) == 0 { // a press that carries nothing
		return fields, true
	}
	return fields, json.Unmarshal(data, &fields) == nil
}

// read makes a press of its verb and what came with it.
func read(verb string, fields map[string]json.RawMessage) (press, bool) {
	p, ok := readVerb(verb)
	request, isText := text(fields, "request")
	ok = ok && isText
	p.Request, isText = requestOf(request)
	ok = ok && isText
	for key, field := range map[string]*string{"on": &p.On, "form": &p.Nonce} {
		*field, isText = text(fields, key)
		ok = ok && isText && (*field == "" || named.MatchString(*field))
	}
	if ok && (p.Kind == pressSend || p.Kind == pressChange) {
		p.Values, ok = values(fields)
		filled := bot.Filled(p.Form, p.Request, p.Values)
		p.Values, p.Code = filled.Values, filled.Code
	}
	if !ok {
		return press{}, false
	}
	return p, true
}

// named are the names that this package and bot give: to actions, forms, inputs, cards and openings of forms.
var named = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

func readVerb(verb string) (press, bool) {
	rest, ours := strings.CutPrefix(verb, verbPrefix)
	kind, name, _ := strings.Cut(rest, ".")
	p := press{Kind: pressKind(kind)}
	switch p.Kind {
	case pressClick:
		p.Action = bot.Action(name)
	case pressSend, pressChange:
		p.Form = bot.FormName(name)
	case pressView, pressHome:
		return p, ours && rest == kind
	default:
		return p, false
	}
	return p, ours && named.MatchString(name)
}

// text is a field that is text, or is not there.
func text(fields map[string]json.RawMessage, key string) (value string, ok bool) {
	raw, there := fields[key]
	if !there {
		return "", true
	}
	return value, json.Unmarshal(raw, &value) == nil
}

// values are what was filled in, by the input's name.
func values(fields map[string]json.RawMessage) (map[string]string, bool) {
	out := map[string]string{}
	for id := range fields {
		name, ours := strings.CutPrefix(id, inputPrefix)
		if !ours {
			continue
		}
		value, ok := text(fields, id)
		if !ok || !named.MatchString(name) || len(value) > maxInput || len(out) == maxInputs {
			return nil, false
		}
		out[name] = value
	}
	return out, true
}

// requestOf reads a request id that came back from Teams: none, or a well-formed one.
func requestOf(text string) (access.RequestID, bool) {
	if text == "" {
		return "", true
	}
	id, err := access.ParseID(text)
	return id, err == nil && string(id) == text
}
