package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"elevate/workflows"
	"elevate/workflows/access"
)

// Token gives what is kept to ask the identity provider by, for the link of a chat account; nil where there is none.
func (s *Store) Token(ctx context.Context, chat, account string) (*access.Token, error) {
	t, _, err := s.token(ctx, chat, account)
	return t, err
}

// token gives it, and as it is stored.
func (s *Store) token(ctx context.Context, chat, account string) (*access.Token, string, error) {
	stored, err := s.client.HGet(ctx, s.tokensKey(), linkField(chat, account)).Result()
	if errors.Is(err, goredis.Nil) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("redis: token: %w", err)
	}
	t, err := s.readToken(chat, account, stored)
	return t, stored, err
}

// Tokens gives all that can be read: what somebody else wrote there is nobody's.
func (s *Store) Tokens(ctx context.Context) ([]access.Token, error) {
	all, err := s.client.HGetAll(ctx, s.tokensKey()).Result()
	if err != nil {
		return nil, fmt.Errorf("redis: tokens: %w", err)
	}
	var out []access.Token
	for field, stored := range all {
		chat, account, _ := strings.Cut(field, " ")
		t, err := s.readToken(chat, account, stored)
		if err != nil {
			s.cfg.Log.ErrorContext(ctx, "what keeps the groups of a link current is not what Elevate wrote; it is left out. Find out who can write to Redis", "chat", chat, "account", account, "err", err)
			continue
		}
		out = append(out, *t)
	}
	return out, nil
}

func (s *Store) readToken(chat, account, stored string) (*access.Token, error) {
	var t access.Token
	doc, err := s.readDoc(markToken, stored)
	if err == nil {
		err = json.Unmarshal(doc, &t)
	}
	if err == nil && (t.Chat != chat || t.Account != account || t.Sealed == "") {
		err = fmt.Errorf("it is another account's: %w", workflows.ErrForged)
	}
	if err != nil {
		return nil, fmt.Errorf("redis: token of %s account %q: %w", chat, account, err)
	}
	return &t, nil
}

func (s *Store) markToken(t *access.Token) ([]byte, error) {
	doc, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("redis: encode the token of %s account %q: %w", t.Chat, t.Account, err)
	}
	return s.markDoc(markToken, doc), nil
}

// SwapToken puts a token in the place of the one whose Sealed is was: false where there is another by now, or none.
func (s *Store) SwapToken(ctx context.Context, was string, t access.Token) (bool, error) {
	now, stored, err := s.token(ctx, t.Chat, t.Account)
	if err != nil || now == nil || now.Sealed != was && now.Sealed != t.Sealed {
		return false, err
	}
	doc, err := s.markToken(&t)
	if err != nil {
		return false, err
	}
	return s.either(ctx, call{script: "remark", keys: []string{s.tokensKey()}, args: []any{linkField(t.Chat, t.Account), stored, doc}}, "moved")
}
