package redis

import (
	"context"
	"errors"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// strange puts keys aside that are of another type than a command wants, and has the command find none there. Scripts do it
// themselves (prologue.lua).
type strange struct{ s *Store }

func (strange) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (h strange) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if !meets(cmd, err) {
			return err
		}
		if err := h.aside(ctx, cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (h strange) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := next(ctx, cmds)
		met := false
		for _, cmd := range cmds {
			if !meets(cmd, cmd.Err()) {
				continue
			}
			met = true
			if err := h.aside(ctx, cmd); err != nil {
				return err
			}
			_ = next(ctx, []goredis.Cmder{cmd}) // the command keeps its error
		}
		if !met {
			return err
		}
		for _, cmd := range cmds {
			if err := cmd.Err(); err != nil && !errors.Is(err, goredis.Nil) {
				return err
			}
		}
		return nil
	}
}

// meets tells whether a command, and not a script, has met a key of another type.
func meets(cmd goredis.Cmder, err error) bool {
	return err != nil && goredis.HasErrorPrefix(err, "WRONGTYPE") && !strings.HasPrefix(cmd.Name(), "eval")
}

// aside puts the key of a command aside, which is its first argument.
func (h strange) aside(ctx context.Context, cmd goredis.Cmder) error {
	key, _ := cmd.Args()[1].(string)
	h.s.cfg.Log.ErrorContext(ctx, "a key of the store is of a type that Elevate never made it; it counts for nothing. Find out who can write to Redis",
		"key", key, "kept_as", key+":strange")
	return h.s.done(ctx, call{script: "probe", keys: []string{key}, args: cmd.Args()})
}
