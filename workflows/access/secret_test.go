package access_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"elevate/workflows/access"
)

func TestSecretShowsNowhere(t *testing.T) {
	t.Parallel()
	const canary = "hunter2-canary"
	s := access.NewSecret(canary)
	type config struct {
		Public string
		DSN    access.Secret
		inner  access.Secret
	}
	c := config{"x", s, s}
	var seen bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%f", "%t", "%T", "%10s"} {
		for _, v := range []any{s, &s, c, &c, []access.Secret{s}, map[string]access.Secret{"k": s}, errors.Join(fmt.Errorf("x %v", s))} {
			fmt.Fprintf(&seen, verb+"\n", v)
		}
	}
	for _, v := range []any{s, c, map[string]any{"k": s}} {
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(out)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&seen, nil), slog.NewJSONHandler(&seen, nil)} {
		slog.New(h).Info("x", "secret", s, "config", c, "pointer", &c)
	}
	if strings.Contains(seen.String(), "hunter2") || strings.Contains(seen.String(), fmt.Sprintf("%x", canary)) {
		t.Errorf("the secret shows:\n%s", seen.String())
	}
	if !strings.Contains(seen.String(), "[redacted]") {
		t.Error("nothing says that something was redacted")
	}
	if c.inner.Reveal() != canary {
		t.Error("the secret is lost")
	}
}

func TestSecretReadsAndTellsEmpty(t *testing.T) {
	t.Parallel()
	var c struct{ A, B access.Secret }
	if err := json.Unmarshal([]byte(`{"A":"x"}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.A.Reveal() != "x" || c.A.IsZero() || c.B.Reveal() != "" || !c.B.IsZero() || c.B.String() != "" || !access.NewSecret("").IsZero() {
		t.Errorf("%q %q", c.A.Reveal(), c.B.Reveal())
	}
}
