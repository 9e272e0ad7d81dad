package config

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// The bounds of a file that refers to itself over and over (&a [*a, *a]). 10,000 roles are about 200,000 values, and
// twice that is read in half a second.
const (
	mostValues = 400_000
	deepest    = 50
)

// special is a type that reads itself from YAML.
type special interface {
	decodeNode(d *decoder, n *yaml.Node, at path)
}

// decoder fills Go values from YAML and reports everything that does not fit. A field's key is its yaml tag, or its
// name in small letters with underscores.
type decoder struct {
	doc    *document
	found  *findings
	values int
}

// decode fills into, a pointer.
func decode(doc *document, n *yaml.Node, into any, at path, found *findings) {
	d := &decoder{doc: doc, found: found}
	d.decode(n, reflect.ValueOf(into).Elem(), at)
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, at path) {
	n = follow(n)
	if d.values++; d.values > mostValues || len(at) > deepest {
		if !d.found.unread[""] {
			d.found.unreadable(nil, "has too many values, or values in values, for a configuration; look for an alias (*name) that repeats itself")
		}
		return
	}
	if s, ok := v.Addr().Interface().(special); ok {
		s.decodeNode(d, n, at)
		return
	}
	if isNull(n) {
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := d.scalar(n, at, "a text"); ok {
			if err := u.UnmarshalText([]byte(text)); err != nil {
				d.found.unreadable(at, "is not understood: %v", err)
			}
		}
		return
	}
	if _, ok := v.Interface().(time.Duration); ok {
		d.duration(n, v, at)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, v, at)
	case reflect.Map:
		d.table(n, v, at)
	case reflect.Slice:
		d.list(n, v, at)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), at)
	case reflect.Interface:
		if value := d.plain(n, at); value != nil {
			v.Set(reflect.ValueOf(value))
		}
	default:
		d.number(n, v, at)
	}
}

// number reads what a scalar can hold: text, number, true or false.
func (d *decoder) number(n *yaml.Node, v reflect.Value, at path) {
	switch v.Kind() {
	case reflect.String:
		if text, ok := d.scalar(n, at, "a text"); ok {
			v.SetString(text)
		}
	case reflect.Bool:
		if text, ok := d.scalar(n, at, "true or false"); ok {
			if text != "true" && text != "false" {
				d.found.unreadable(at, "is %s: write true or false", d.doc.quoteNode(n))
			}
			v.SetBool(text == "true")
		}
	case reflect.Int, reflect.Int64, reflect.Int32:
		if text, ok := d.scalar(n, at, "a whole number"); ok {
			i, err := strconv.ParseInt(text, 10, v.Type().Bits())
			if err != nil {
				d.found.unreadable(at, "is %s: write a whole number", d.doc.quoteNode(n))
			}
			v.SetInt(i)
		}
	case reflect.Float64:
		if text, ok := d.scalar(n, at, "a number"); ok {
			f, err := strconv.ParseFloat(text, 64)
			if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
				d.found.unreadable(at, "is %s: write a number", d.doc.quoteNode(n))
			}
			v.SetFloat(f)
		}
	default:
		panic(fmt.Sprintf("config: %s has type %s, which no YAML fits", at, v.Type()))
	}
}

func (d *decoder) duration(n *yaml.Node, v reflect.Value, at path) {
	text, ok := d.scalar(n, at, "a time such as 90m")
	if !ok {
		return
	}
	t, err := time.ParseDuration(text)
	if err != nil {
		d.found.unreadable(at, "is %s: write hours, minutes and seconds, such as 4h, 1h30m or 45s", d.doc.quoteNode(n))
		return
	}
	v.SetInt(int64(t))
}

// scalar is the text of a single value.
func (d *decoder) scalar(n *yaml.Node, at path, wanted string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.found.unreadable(at, "is a %s: write %s", kindName(n), wanted)
		return "", false
	}
	switch n.Tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return n.Value, true
	}
	d.found.unreadable(at, "has the tag %s, which means nothing here: leave it out", n.Tag)
	return "", false
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "block of keys"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}

func (d *decoder) object(n *yaml.Node, v reflect.Value, at path) {
	fields := fieldsOf(v.Type())
	if n.Kind != yaml.MappingNode {
		d.found.unreadable(at, "is a %s: write a block of keys (%s)", kindName(n), strings.Join(names(fields), ", "))
		return
	}
	for _, p := range d.entries(n, at) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == p.key.Value })
		if i < 0 {
			d.found.unreadable(at.key(p.key.Value), "is not a key that belongs here; these do: %s", strings.Join(names(fields), ", "))
			continue
		}
		d.decode(p.value, v.Field(fields[i].index), at.key(p.key.Value))
	}
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, at path) {
	if n.Kind != yaml.MappingNode {
		d.found.unreadable(at, "is a %s: write a block of keys", kindName(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range d.entries(n, at) {
		element := reflect.New(v.Type().Elem()).Elem()
		d.decode(p.value, element, at.key(p.key.Value))
		v.SetMapIndex(reflect.ValueOf(p.key.Value).Convert(v.Type().Key()), element)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, at path) {
	if n.Kind != yaml.SequenceNode {
		d.found.unreadable(at, "is a %s: write a list, such as [a, b]", kindName(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, element := range n.Content {
		d.decode(element, v.Index(i), at.index(i))
	}
}

// entries are the pairs of a mapping, each key once.
func (d *decoder) entries(n *yaml.Node, at path) []pair {
	var out []pair
	first := map[string]*yaml.Node{}
	for _, p := range pairs(n) {
		if p.key.Kind != yaml.ScalarNode {
			d.found.unreadable(at, "has a key that is no single word (line %d)", p.key.Line)
			continue
		}
		if earlier, twice := first[p.key.Value]; twice {
			d.found.problem(at.key(p.key.Value), "is given twice, on lines %d and %d: keep one", earlier.Line, p.key.Line)
			continue
		}
		first[p.key.Value] = p.key
		out = append(out, p)
	}
	return out
}

// plain reads a value of no fixed form. It gives what reading it back from JSON would give, for that is how it comes
// back from the store: numbers are float64.
func (d *decoder) plain(n *yaml.Node, at path) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		d.table(n, reflect.ValueOf(&out).Elem(), at)
		return out
	case yaml.SequenceNode:
		out := []any{}
		d.list(n, reflect.ValueOf(&out).Elem(), at)
		return out
	}
	text, ok := d.scalar(n, at, "a value")
	if !ok {
		return nil
	}
	switch n.Tag {
	case "!!bool":
		return text == "true" || text == "True" || text == "TRUE"
	case "!!int", "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			d.found.unreadable(at, "is %s, which is no number that can be kept: put it in quotes", d.doc.quoteNode(n))
			return nil
		}
		if math.Abs(f) > 1<<53 {
			d.found.unreadable(at, "is %s, a number too long to be kept exactly: put it in quotes", d.doc.quoteNode(n))
			return nil
		}
		return f
	}
	return text
}

type field struct {
	name  string
	index int
}

func names(fields []field) []string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = f.name
	}
	return out
}

// fieldsOf are the fields of a struct that a file can set: the exported ones with a tag other than "-", and those without
// one whose type holds plain values. Clocks, loggers and clients are set by programs.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if !f.IsExported() || name == "-" || name == "" && !settable(f.Type) {
			continue
		}
		if name == "" {
			name = snake(f.Name)
		}
		out = append(out, field{name, i})
	}
	return out
}

func settable(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.Pointer:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	case reflect.Slice, reflect.Map:
		return settable(t.Elem())
	}
	return true
}

// snake writes a Go name as a key: BotToken is bot_token, PublicURL is public_url.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		starts := unicode.IsUpper(r) && i > 0 &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if starts {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// keysOf are the keys that a pointer to a struct can be filled from.
func keysOf(into any) map[string]bool {
	out := map[string]bool{}
	for _, f := range fieldsOf(reflect.TypeOf(into).Elem()) {
		out[f.name] = true
	}
	return out
}
