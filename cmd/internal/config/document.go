package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is a parsed file that can tell where a key stands.
type document struct {
	file string
	root *yaml.Node
	// written is the text, as it stands in the file, of the values that were expanded. Messages quote that: what came
	// from the environment may be a secret.
	written map[*yaml.Node]string
	// taken is what came from the environment, with the variable that it stands for.
	taken map[string]string
}

// yamlError is how the YAML package words its errors.
var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parse reads the text. The document is never nil.
func parse(file string, text []byte) (*document, *Problem) {
	d := &document{file: file, root: &yaml.Node{Kind: yaml.MappingNode}, written: map[*yaml.Node]string{}, taken: map[string]string{}}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var top, more yaml.Node
	if err := decoder.Decode(&top); errors.Is(err, io.EOF) || err == nil && len(top.Content) == 0 {
		return d, &Problem{File: file, Line: 1, Text: "is empty; the examples show what belongs here"}
	} else if err != nil {
		return d, syntax(file, err)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return d, &Problem{File: file, Line: more.Line, Text: "has a second YAML document (after ---); write everything into one"}
	case !errors.Is(err, io.EOF):
		return d, syntax(file, err)
	}
	d.root = top.Content[0]
	return d, nil
}

func syntax(file string, err error) *Problem {
	parts := yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return &Problem{File: file, Text: "is no YAML: " + err.Error()}
	}
	line, _ := strconv.Atoi(parts[1]) // zero where there is none
	if line > 0 && strings.HasPrefix(parts[2], "did not find expected") {
		line++ // the YAML package counts lines from 0 in what its parser says, and from 1 in what its scanner says
	}
	return &Problem{File: file, Line: line, Text: "is no YAML here: " + parts[2] + "; a value with {, }, : or # in it, such as \"${NAME}\", needs quotes"}
}

// position is the place of a key, or of the closest one above it that the file has.
func (d *document) position(at path) (line, column int) {
	n := d.root
	line, column = n.Line, n.Column
	for _, step := range at {
		var key *yaml.Node
		if key, n = child(n, step); n == nil {
			break
		}
		line, column = key.Line, key.Column
	}
	return line, column
}

// has tells whether the file has the key, with a value.
func (d *document) has(at path) bool {
	n := d.find(at)
	return n != nil && !isNull(follow(n))
}

func (d *document) find(at path) *yaml.Node {
	n := d.root
	for _, step := range at {
		if _, n = child(n, step); n == nil {
			return nil
		}
	}
	return n
}

// child is what is below a node: the node that marks its place, and its value.
func child(n *yaml.Node, step string) (place, value *yaml.Node) {
	n = follow(n)
	if index, ok := strings.CutPrefix(step, "["); ok {
		i, err := strconv.Atoi(strings.TrimSuffix(index, "]"))
		if err != nil || n.Kind != yaml.SequenceNode || i < 0 || i >= len(n.Content) {
			return nil, nil
		}
		return n.Content[i], n.Content[i]
	}
	if n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for _, p := range pairs(n) {
		if p.key.Value == step {
			return p.key, p.value
		}
	}
	return nil, nil
}

// follow is the node that an alias stands for. Aliases never stand for aliases.
func follow(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

type pair struct{ key, value *yaml.Node }

// pairs are the entries of a mapping, those that it merges (<<: *other) last and only where it has none of its own.
func pairs(n *yaml.Node) []pair {
	var own, merged []pair
	have := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		p := pair{n.Content[i], n.Content[i+1]}
		if p.key.Tag != "!!merge" {
			own = append(own, p)
			have[p.key.Value] = true
			continue
		}
		sources := []*yaml.Node{follow(p.value)}
		if sources[0].Kind == yaml.SequenceNode {
			sources = sources[0].Content
		}
		for _, s := range sources {
			s = follow(s)
			for j := 0; s.Kind == yaml.MappingNode && j+1 < len(s.Content); j += 2 {
				merged = append(merged, pair{s.Content[j], s.Content[j+1]})
			}
		}
	}
	for _, p := range merged {
		if !have[p.key.Value] {
			have[p.key.Value] = true
			own = append(own, p)
		}
	}
	return own
}

// expand replaces ${NAME} in every value by what the environment has under that name.
func (d *document) expand(env func(string) (string, bool), found *findings) {
	noted := func(name string) (string, bool) {
		value, set := env(name)
		if len(value) >= shortestSecret {
			d.taken[value] = "${" + name + "}"
		}
		return value, set
	}
	d.expandBelow(d.root, nil, noted, found)
}

// shortestSecret is in bytes; what is shorter is likelier a number or a word than a secret.
const shortestSecret = 6

// hide puts variables back in the place of what came from the environment. Values are not quoted in messages where they
// can be avoided, but expressions and connectors word messages of their own.
func (d *document) hide(text string) string {
	for value, name := range d.taken {
		text = strings.ReplaceAll(text, value, name)
	}
	return text
}

func (d *document) expandBelow(n *yaml.Node, at path, env func(string) (string, bool), found *findings) {
	if len(at) > deepest {
		return // decode says so
	}
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			d.expandBelow(n.Content[i+1], at.key(n.Content[i].Value), env, found)
		}
	case yaml.SequenceNode:
		for i, element := range n.Content {
			d.expandBelow(element, at.index(i), env, found)
		}
	case yaml.ScalarNode:
		if !strings.Contains(n.Value, "${") {
			return
		}
		text, err := expand(n.Value, env)
		d.written[n] = n.Value
		if err != nil {
			found.unreadable(at, "%v", err)
			return
		}
		n.Value = text
	}
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME}; $${ is a plain ${, and every other $ stays as it is.
func expand(text string, env func(string) (string, bool)) (string, error) {
	var b strings.Builder
	var problems []string
	for {
		before, after, found := strings.Cut(text, "${")
		if !found {
			b.WriteString(text)
			break
		}
		if plain, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(plain + "${")
			text = after
			continue
		}
		b.WriteString(before)
		name, rest, closed := strings.Cut(after, "}")
		if !closed || !variable.MatchString(name) {
			problems = append(problems, "${ must be followed by the name of an environment variable and }; for a plain ${ write $${")
			text = after
			continue
		}
		value, set := env(name)
		if !set {
			problems = append(problems, fmt.Sprintf("environment variable %s is not set", name))
		}
		b.WriteString(value)
		text = rest
	}
	if len(problems) > 0 {
		return "", errors.New(strings.Join(problems, "; "))
	}
	return b.String(), nil
}

// quote shows the value of a key as the file has it, shortened.
func (d *document) quote(at path) string {
	n := d.find(at)
	if n == nil {
		return `""`
	}
	return d.quoteNode(follow(n))
}

func (d *document) quoteNode(n *yaml.Node) string {
	const longest = 60
	text, expanded := d.written[n]
	if !expanded {
		text = n.Value
	}
	if r := []rune(text); len(r) > longest {
		text = string(r[:longest]) + "…"
	}
	return strconv.Quote(text)
}
