package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"elevate/connectors"
	"elevate/workflows"
	"elevate/workflows/access"
)

// ConnectorType makes a connector of one type from its block. It reads the block with Decode and asks nobody anything.
// The error may join several; one that begins with a key of the block, such as urls[0], and a colon is
// shown at that key.
type ConnectorType func(b Block) (connectors.Connector, error)

// Block is the settings of one connector.
type Block struct {
	Name, Type string

	doc  *document
	node *yaml.Node
	at   path
	keys map[string]bool // that Decode was asked for
}

func (b *Block) decodeNode(d *decoder, n *yaml.Node, at path) {
	*b = Block{Name: at[len(at)-1], doc: d.doc, node: n, at: at, keys: map[string]bool{}}
	if n.Kind != yaml.MappingNode {
		d.found.unreadable(at, "is a %s: write a block of keys, with type among them", kindName(n))
		return
	}
	if _, kind := child(n, "type"); kind != nil {
		if text, ok := d.scalar(follow(kind), at.key("type"), "a text"); ok {
			b.Type = text
		}
	}
}

// Decode fills into, a pointer to a struct, from the block without its type. Keys that the struct does not have, and
// values that do not fit, make the error, which is Problems. A field's key is its yaml tag, or its name in small
// letters with underscores; fields that are no plain values have none.
func (b Block) Decode(into any) error {
	found := newFindings(b.doc)
	settings := *b.node
	settings.Content = nil
	for i := 0; i+1 < len(b.node.Content); i += 2 {
		if b.node.Content[i].Value != "type" {
			settings.Content = append(settings.Content, b.node.Content[i], b.node.Content[i+1])
		}
	}
	maps.Copy(b.keys, keysOf(into))
	decode(b.doc, &settings, into, b.at, found)
	if len(found.problems) > 0 {
		return found.sorted()
	}
	return nil
}

// Connect makes every connector of the file, and checks the targets of the roles with them. The problems are those that
// only the connectors know of; of a value that Parse could not read they say nothing.
func (c *Config) Connect(types map[string]ConnectorType) (map[string]connectors.Connector, Problems) {
	found := newFindings(c.file)
	maps.Copy(found.unread, c.unread)
	made := make(map[string]connectors.Connector, len(c.Connectors))
	for name, block := range c.Connectors {
		if block.Type == "" {
			continue // reported by Load
		}
		construct, known := types[block.Type]
		if !known {
			found.problem(block.at.key("type"), "is %s, and there is no such type of connector; there are: %s",
				c.file.quote(block.at.key("type")), strings.Join(slices.Sorted(maps.Keys(types)), ", "))
			continue
		}
		connector, err := construct(block)
		if err != nil {
			block.report(found, err)
			continue
		}
		made[name] = connector
	}
	for i, r := range c.Roles {
		if connector, ok := made[r.Connector]; ok {
			at := path{"roles"}.index(i)
			c.checkTarget(found, at, r, connector)
			if err := workflows.CheckBundle(r, c.Roles, made); err != nil && connector.(connectors.TargetChecker).CheckTarget(r.Target) == nil {
				place(found, at, err)
			}
		}
	}
	return made, found.sorted()
}

// report places the errors of a constructor.
func (b Block) report(found *findings, err error) {
	var problems Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			if !found.silenced(parsePath(p.Key)) {
				found.problems = append(found.problems, p)
			}
		}
		return
	}
	for _, e := range separate(err) {
		at, text := b.at, strings.TrimPrefix(e.Error(), b.Type+": ")
		if key, rest, ok := strings.Cut(text, ": "); ok && b.keys[key[:strings.IndexAny(key+".", ".[")]] {
			at, text = at.key(parsePath(key)...), rest
		}
		found.problem(at, "%s", text)
	}
}

// checkTarget checks a role's target. An error that begins with target.KEY and a colon is shown at that key.
func (c *Config) checkTarget(found *findings, at path, r access.Role, connector connectors.Connector) {
	if checker, ok := connector.(connectors.TargetChecker); ok {
		for _, err := range separate(checker.CheckTarget(r.Target)) {
			place(found, at, err)
		}
	}
	if c.Set == nil || c.Set.For(r.ID) == nil {
		return
	}
	rule := c.Set.For(r.ID)
	if least := connectors.Describe(connector).MinDuration; least > rule.Max() {
		found.problem(at, "can be had for %s at most by policy %q, and connector %s gives it for %s at least",
			rule.Max().Round(time.Second), rule.Name(), r.Connector, least.Round(time.Second))
	}
}

// place shows an error of a role's target at the key that it begins with.
func place(found *findings, at path, err error) {
	where, text := at.key("target"), err.Error()
	if key, rest, ok := strings.Cut(text, ": "); ok && strings.HasPrefix(key, "target.") {
		where, text = at.key(parsePath(key)...), rest
	}
	found.problem(where, "%s", text)
}

// separate takes joined errors apart; none for nil.
func separate(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error }) // no wrapper: its own words would be lost
	if !ok || err.Error() != errors.Join(joined.Unwrap()...).Error() {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, separate(e)...)
	}
	return out
}
