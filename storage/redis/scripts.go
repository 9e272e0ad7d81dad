package redis

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows/access"
)

//go:embed lua/*.lua
var sources embed.FS

// The files of which one program is made: prologue stands in front of every script; take and taken enclose the rules of
// all arrows.
const (
	prologue = "prologue"
	take     = "take"
	taken    = "taken"
	// factorTry stands in front of the steps of factors, which run in it alone; tried ends their names.
	factorTry = "factor_try"
	tried     = "/tried"
)

// restore is the word for a record of the audit log that is written as it is. It is no arrow, and has no rule.
const restore = "restore"

// scripts are the Lua programs by name.
type scripts map[string]*goredis.Script

// loadScripts gives the programs, and the arrows that take knows.
func loadScripts() (scripts, map[string]bool, error) {
	files, err := sources.ReadDir("lua")
	if err != nil {
		return nil, nil, err
	}
	bodies := map[string]string{}
	for _, f := range files {
		body, err := sources.ReadFile("lua/" + f.Name())
		if err != nil {
			return nil, nil, err
		}
		bodies[strings.TrimSuffix(f.Name(), ".lua")] = string(body)
	}
	rules := map[string]bool{restore: true}
	program := bodies[prologue] + bodies[take]
	for _, step := range access.Table() {
		name := string(step.Arrow)
		if _, ok := bodies[name]; !ok {
			return nil, nil, fmt.Errorf("no rule for the arrow %q", name)
		}
		rules[name] = true
		program += fmt.Sprintf("rules['%s'] = function()\n%send\n", name, bodies[name])
	}
	all := scripts{take: goredis.NewScript(program + bodies[taken])}
	for name, body := range bodies {
		switch {
		case name == prologue, name == take, name == taken, name == factorTry, rules[name]:
		case strings.HasPrefix(name, "factor_") && name != "factor_swap":
			all[name+tried] = goredis.NewScript(bodies[prologue] + bodies[factorTry] + "local function step()\n" + body + "\nend\nreturn told(pcall(step))\n")
		default:
			all[name] = goredis.NewScript(bodies[prologue] + body)
		}
	}
	return all, rules, nil
}

// call is one run of a script, sent alone or with others.
type call struct {
	script string
	keys   []string
	args   []any
	// arrow stands alone, for a call that batches makes together with other arrows of the shard.
	arrow *arrow
}

// run sends one call, together with others that are made at the same time; it may be repeated after a lost reply, so the
// script must know its own attempts.
func (s *Store) run(ctx context.Context, c call) (any, error) { return s.batches.do(ctx, c) }

// word sends one call that answers with a word.
func (s *Store) word(ctx context.Context, c call) (string, error) {
	reply, err := s.run(ctx, c)
	if err != nil {
		return "", err
	}
	return asWord(c, reply)
}

func asWord(c call, reply any) (string, error) {
	if words, ok := reply.([]any); ok && len(words) == 1 {
		reply = words[0]
	}
	word, ok := reply.(string)
	if !ok {
		return "", fmt.Errorf("%s: answered %T, not a word", c.script, reply)
	}
	return word, nil
}

// unknown is the error for a word that a script should not have answered.
func unknown(c call, word string) error {
	return fmt.Errorf("%s: unknown answer %q", c.script, word)
}

// either sends one call that answers ok or no.
func (s *Store) either(ctx context.Context, c call, no string) (ok bool, err error) {
	word, err := s.word(ctx, c)
	if err == nil && word != "ok" && word != no {
		err = unknown(c, word)
	}
	if err != nil {
		return false, fmt.Errorf("redis: %w", err)
	}
	return word == "ok", nil
}

// done sends one call that can only answer ok.
func (s *Store) done(ctx context.Context, c call) error {
	word, err := s.word(ctx, c)
	if err == nil && word != "ok" {
		err = unknown(c, word)
	}
	return err
}

// runAll sends calls in one pipeline and gives their replies in order. A call that the server did not know the script of
// was not run and is sent again in full.
func (s *Store) runAll(ctx context.Context, client goredis.UniversalClient, calls []call) ([]any, error) {
	replies := make([]any, len(calls))
	failed := make([]error, len(calls))
	for i, r := range s.pipe(ctx, client, calls) {
		replies[i], failed[i] = r.reply, r.err
	}
	return replies, errors.Join(failed...)
}

// pipe sends calls in one pipeline.
func (s *Store) pipe(ctx context.Context, client goredis.UniversalClient, calls []call) []result {
	pipe := client.Pipeline()
	commands := make([]*goredis.Cmd, len(calls))
	for i, c := range calls {
		commands[i] = s.scripts[c.script].EvalSha(ctx, pipe, c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
	results := make([]result, len(calls))
	for i, cmd := range commands {
		reply, err := cmd.Result()
		if err != nil && goredis.HasErrorPrefix(err, "NOSCRIPT") {
			reply, err = s.scripts[calls[i].script].Eval(ctx, client, calls[i].keys, calls[i].args...).Result()
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", calls[i].script, err)
		}
		results[i] = result{reply: reply, err: err}
	}
	return results
}

// list reads a reply of Lua that is an array.
func list(v any) ([]any, error) {
	l, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("answered %T, not a list", v)
	}
	return l, nil
}

// texts reads a reply of Lua that is an array of strings.
func texts(v any) ([]string, error) {
	l, err := list(v)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(l))
	for i, e := range l {
		s, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("answered %T at %d, not a string", e, i)
		}
		out[i] = s
	}
	return out, nil
}
