package slackfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"elevate/bot/bottest"
)

// maxCumulative is how long the blocks of a message may be together before chat.postMessage and chat.update answer
// msg_blocks_too_long. The limit is not documented: 13,297 characters of text in one block were accepted, and 11,341 in
// many refused, so the blocks themselves count. Taken here for all of their JSON.
const maxCumulative = 12_000

// Testdata is the path of a file of the shared third-party test data, as bottest finds it.
func Testdata(t testing.TB, path ...string) string {
	t.Helper()
	return bottest.Testdata(t, "slack", path...)
}

type schemas struct{ message, modal, home, post, update, ephemeral, open, publish, viewUpdate *jsonschema.Schema }

// schemasOf compiles the schemas once. They were made of Slack's own types, with the limits that the types' comments name.
var schemasOf = sync.OnceValues(func() (*schemas, error) {
	root, err := bottest.TestdataRoot("slack")
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	for _, name := range []string{"BlocksMessage.limits", "Modal.limits", "Home.limits", "ChatArgs", "ViewArgs"} {
		raw, err := os.ReadFile(filepath.Join(root, "block-kit-schema", "schema."+name+".json"))
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(name+".json", doc); err != nil {
			return nil, err
		}
	}
	var s schemas
	for at, out := range map[string]**jsonschema.Schema{
		"BlocksMessage.limits.json": &s.message,
		"Modal.limits.json":         &s.modal,
		"Home.limits.json":          &s.home,
		"ChatArgs.json#/definitions/ChatPostMessageArguments":   &s.post,
		"ChatArgs.json#/definitions/ChatUpdateArguments":        &s.update,
		"ChatArgs.json#/definitions/ChatPostEphemeralArguments": &s.ephemeral,
		"ViewArgs.json#/definitions/ViewsOpenArguments":         &s.open,
		"ViewArgs.json#/definitions/ViewsPublishArguments":      &s.publish,
		"ViewArgs.json#/definitions/ViewsUpdateArguments":       &s.viewUpdate,
	} {
		if *out, err = c.Compile(at); err != nil {
			return nil, err
		}
	}
	return &s, nil
})

// checkArguments tells what is wrong with the arguments of a call.
func checkArguments(name string, args map[string]any) string {
	s, err := schemasOf()
	if err != nil {
		return ""
	}
	schema := map[string]*jsonschema.Schema{
		"chat.postMessage": s.post, "chat.update": s.update, "chat.postEphemeral": s.ephemeral,
		"views.open": s.open, "views.publish": s.publish, "views.update": s.viewUpdate,
	}[name]
	if schema == nil {
		return ""
	}
	return strings.Join(validate(schema, args), "; ")
}

// CheckMessage tells what Slack would refuse about the blocks of a message.
func CheckMessage(blocks []any) []string {
	broken := CheckWhisper(blocks)
	if n := utf8.RuneCount(encode(blocks)); n > maxCumulative {
		broken = append(broken, fmt.Sprintf("msg_blocks_too_long: %d characters", n))
	}
	return broken
}

// CheckWhisper tells what Slack would refuse about the blocks of an answer to a command or to a response URL.
func CheckWhisper(blocks []any) []string {
	s, err := schemasOf()
	if err != nil {
		return []string{err.Error()}
	}
	if blocks == nil {
		return nil
	}
	return append(validate(s.message, map[string]any{"blocks": blocks}), rules(blocks)...)
}

// CheckModal tells what Slack would refuse about a dialog.
func CheckModal(view map[string]any) []string {
	s, err := schemasOf()
	if err != nil {
		return []string{err.Error()}
	}
	broken := validate(s.modal, view)
	blocks, _ := view["blocks"].([]any)
	broken = append(broken, rules(blocks)...)
	if view["submit"] == nil && count(blocks, func(m map[string]any) bool { return m["type"] == "input" }) > 0 {
		broken = append(broken, "submit is required where there is an input")
	}
	if count(blocks, func(m map[string]any) bool { return m["focus_on_load"] == true }) > 1 {
		broken = append(broken, "more than one element has focus_on_load")
	}
	return append(broken, size(view)...)
}

// CheckHome tells what Slack would refuse about a Home page.
func CheckHome(view map[string]any) []string {
	s, err := schemasOf()
	if err != nil {
		return []string{err.Error()}
	}
	blocks, _ := view["blocks"].([]any)
	return append(append(validate(s.home, view), rules(blocks)...), size(view)...)
}

// size is the limit of views: 250 kilobytes.
func size(view map[string]any) []string {
	if n := len(encode(view)); n > 250_000 {
		return []string{fmt.Sprintf("view_too_large: %d bytes", n)}
	}
	return nil
}

// rules are those that the schemas do not say.
func rules(blocks []any) []string {
	var broken []string
	seen := map[string]bool{}
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		id := text(block, "block_id")
		if id != "" && seen[id] {
			broken = append(broken, fmt.Sprintf("block_id %q twice", id))
		}
		seen[id] = true
		actions := map[string]bool{}
		elements, _ := block["elements"].([]any)
		if block["type"] == "actions" && (len(elements) == 0 || len(elements) > 25) {
			broken = append(broken, fmt.Sprintf("%d elements in an actions block", len(elements)))
		}
		for _, e := range elements {
			element, _ := e.(map[string]any)
			action := text(element, "action_id")
			if action != "" && actions[action] {
				broken = append(broken, fmt.Sprintf("action_id %q twice in a block", action))
			}
			actions[action] = true
		}
	}
	Walk(blocks, func(m map[string]any) {
		kind := text(m, "type")
		if s, ok := m["text"].(string); ok && s == "" && (kind == "mrkdwn" || kind == "plain_text" || kind == "text") {
			broken = append(broken, "an empty text")
		}
		if kind == "rich_text" || strings.HasPrefix(kind, "rich_text_") {
			if e, _ := m["elements"].([]any); len(e) == 0 {
				broken = append(broken, kind+" without elements")
			}
		}
		if initial, ok := m["initial_option"]; ok {
			if options, ok := m["options"].([]any); ok && !contains(options, initial) {
				broken = append(broken, "initial_option is none of the options")
			}
		}
	})
	return broken
}

// sharedIDs are the block ids of two versions of a page that are in both.
func sharedIDs(before []any, after any) []string {
	ids := map[string]bool{}
	for _, b := range before {
		block, _ := b.(map[string]any)
		ids[text(block, "block_id")] = true
	}
	var out []string
	blocks, _ := after.([]any)
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		if id := text(block, "block_id"); id != "" && ids[id] {
			out = append(out, id)
		}
	}
	return out
}

// validate tells whether something fits a schema, and if not, what the innermost complaints are.
func validate(schema *jsonschema.Schema, v any) []string {
	// The validator wants what its own decoder makes of JSON.
	raw := encode(v)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return []string{err.Error()}
	}
	var invalid *jsonschema.ValidationError
	err = schema.Validate(doc)
	if !errors.As(err, &invalid) {
		return nil
	}
	// Most complaints are that a block is of none of the other types. Those about its own type lie deepest.
	deepest, at := 0, map[string]bool{}
	var look func(e *jsonschema.ValidationError)
	look = func(e *jsonschema.ValidationError) {
		if n := len(e.InstanceLocation); len(e.Causes) == 0 && n >= deepest {
			if n > deepest {
				deepest = n
				clear(at)
			}
			at[e.Error()] = true
		}
		for _, cause := range e.Causes {
			look(cause)
		}
	}
	look(invalid)
	return append(slices.Sorted(maps.Keys(at)), string(raw[:min(len(raw), 4000)]))
}

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // decoded JSON always encodes
	return bytes.TrimSpace(b.Bytes())
}

func contains(list []any, v any) bool {
	for _, each := range list {
		if bytes.Equal(encode(each), encode(v)) {
			return true
		}
	}
	return false
}

func count(v any, is func(map[string]any) bool) int {
	n := 0
	Walk(v, func(m map[string]any) {
		if is(m) {
			n++
		}
	})
	return n
}

// Walk visits every object in decoded JSON.
func Walk(v any, visit func(map[string]any)) {
	switch v := v.(type) {
	case []any:
		for _, each := range v {
			Walk(each, visit)
		}
	case map[string]any:
		visit(v)
		for _, each := range v {
			Walk(each, visit)
		}
	}
}
