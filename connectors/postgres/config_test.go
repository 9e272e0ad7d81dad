package postgres_test

import (
	"strings"
	"testing"
	"time"

	"elevate/connectors/postgres"
	"elevate/workflows/access"
)

func TestNewReadsTheConfigurationAndConnectsToNothing(t *testing.T) {
	t.Parallel()
	const secret = "pass-canary"
	for name, test := range map[string]struct {
		cfg  postgres.Config
		want []string // in the error; none: it is accepted
	}{
		"a URL that says verify-full":   {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@db.example.com/postgres?sslmode=verify-full")}, nil},
		"a URL that says require":       {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@db.example.com/postgres?sslmode=require")}, nil},
		"a URL that says disable":       {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@db.example.com/postgres?sslmode=disable")}, nil},
		"this machine":                  {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@localhost/postgres")}, nil},
		"this machine by address":       {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@[::1]/postgres")}, nil},
		"a socket":                      {postgres.Config{DSN: access.NewSecret("host=/run/postgresql user=bot")}, nil},
		"several hosts":                 {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@a.example.com,b.example.com/postgres?sslmode=verify-full&target_session_attrs=read-write")}, nil},
		"nothing":                       {postgres.Config{}, []string{"dsn"}},
		"no mode":                       {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@db.example.com/postgres")}, []string{"dsn", "db.example.com", "sslmode=verify-full"}},
		"a mode that gives way":         {postgres.Config{DSN: access.NewSecret("host=db.example.com user=bot password=" + secret + " sslmode=prefer")}, []string{"dsn", "sslmode=verify-full"}},
		"one host of several elsewhere": {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "@localhost,b.example.com/postgres")}, []string{"b.example.com"}},
		"no connection string":          {postgres.Config{DSN: access.NewSecret("postgres://bot:" + secret + "%@db.example.com/%zz")}, []string{"dsn"}},
		"an unknown mode":               {postgres.Config{DSN: access.NewSecret("host=db user=bot password=" + secret + " sslmode=maybe")}, []string{"dsn"}},
		"every problem at once":         {postgres.Config{Timeout: -time.Second, MaxConns: -1}, []string{"dsn", "timeout", "max_conns"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postgres.New(test.cfg)
			if (err != nil) != (len(test.want) > 0) {
				t.Fatalf("New: %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not speak of %q: %v", want, err)
				}
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestCheckTargetNamesTheKey(t *testing.T) {
	t.Parallel()
	c, err := postgres.New(postgres.Config{DSN: access.NewSecret("host=localhost")})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		target map[string]any
		want   string
	}{
		"good":         {map[string]any{"role": "db_admin"}, ""},
		"nothing":      {nil, "target.role"},
		"empty":        {map[string]any{"role": ""}, "target.role"},
		"no text":      {map[string]any{"role": 7}, "target.role"},
		"a typo":       {map[string]any{"rolle": "db_admin"}, "target.rolle"},
		"one too many": {map[string]any{"role": "db_admin", "database": "shop"}, "target.database"},
		"too long":     {map[string]any{"role": strings.Repeat("ä", 32)}, "63"},
		"a zero byte":  {map[string]any{"role": "db\x00admin"}, "target.role"},
	} {
		err := c.CheckTarget(test.target)
		if test.want == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want an error that speaks of %q", name, err, test.want)
		}
	}
}
