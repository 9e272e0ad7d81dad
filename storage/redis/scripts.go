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

// The files that stand in front of others.
const (
	prologue = "prologue"
	arrows   = "arrow"
)

// scripts are the Lua programs by file name, those of arrows by the arrow's name.
type scripts map[string]*goredis.Script

func loadScripts() (scripts, error) {
	files, err := sources.ReadDir("lua")
	if err != nil {
		return nil, err
	}
	bodies := map[string]string{}
	for _, f := range files {
		body, err := sources.ReadFile("lua/" + f.Name())
		if err != nil {
			return nil, err
		}
		bodies[strings.TrimSuffix(f.Name(), ".lua")] = string(body)
	}
	all := scripts{}
	for name, body := range bodies {
		if name != prologue && name != arrows {
			all[name] = goredis.NewScript(bodies[prologue] + body)
		}
	}
	for _, step := range access.Table() {
		name := string(step.Arrow)
		if _, ok := bodies[name]; !ok {
			return nil, fmt.Errorf("no script for the arrow %q", name)
		}
		all[name] = goredis.NewScript(bodies[prologue] + bodies[arrows] + bodies[name])
	}
	return all, nil
}

// call is one run of a script, sent alone or with others.
type call struct {
	script string
	keys   []string
	args   []any
}

// run sends one call; it may be repeated after a lost reply, so the script must know its own attempts.
func (s *Store) run(ctx context.Context, c call) (any, error) {
	reply, err := s.scripts[c.script].Run(ctx, s.client, c.keys, c.args...).Result()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.script, err)
	}
	return reply, nil
}

// word sends one call that answers with a word.
func (s *Store) word(ctx context.Context, c call) (string, error) {
	reply, err := s.run(ctx, c)
	if err != nil {
		return "", err
	}
	return asWord(c, reply)
}

func asWord(c call, reply any) (string, error) {
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

// runAll sends calls of one script in one pipeline and gives their replies in order. A call that the server did not
// know the script of was not run and is sent again in full.
func (s *Store) runAll(ctx context.Context, client goredis.UniversalClient, calls []call) ([]any, error) {
	pipe := client.Pipeline()
	commands := make([]*goredis.Cmd, len(calls))
	for i, c := range calls {
		commands[i] = s.scripts[c.script].EvalSha(ctx, pipe, c.keys, c.args...)
	}
	_, _ = pipe.Exec(ctx) // each command carries its own error
	replies := make([]any, len(calls))
	var failed []error
	for i, cmd := range commands {
		reply, err := cmd.Result()
		if err != nil && goredis.HasErrorPrefix(err, "NOSCRIPT") {
			reply, err = s.scripts[calls[i].script].Eval(ctx, client, calls[i].keys, calls[i].args...).Result()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", calls[i].script, err))
		}
		replies[i] = reply
	}
	return replies, errors.Join(failed...)
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
