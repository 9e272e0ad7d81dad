package redis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"elevate/workflows/access"
	"elevate/workflows/factor"
)

// Config says where the state is kept and what is asked of it.
type Config struct {
	// URL is required. The forms are
	//
	//	redis://user:password@host:6379/0            one server; rediss:// with TLS; unix:///path/to/socket
	//	redis+sentinel://user:password@s1:26379,s2:26379/0?master_name=main
	//	redis+cluster://user:password@n1:6379,n2:6379
	//
	// with rediss+sentinel and rediss+cluster for TLS. Further settings are query parameters as go-redis names them
	// (pool_size, read_timeout, sentinel_password, …). With TLS, tls_ca names a PEM file of the authorities to believe
	// in place of the system's, and tls_cert and tls_key name what is shown to a server that asks. Every server of a
	// Sentinel or cluster URL must have a certificate for the first host of the URL.
	URL string
	// Prefix begins every key and channel, so that several installations can share a server. Empty: "elevate:".
	Prefix string
	// Shards is the number of hash tags that requests are spread over, 1 to 1024. It is recorded at first use and
	// afterwards what is recorded counts. Zero: 16.
	Shards int
	// Chats are the chats whose outbox gets the notes of arrows.
	Chats []string
	// Wait asks for more than the master's own word before an armed request counts as stored. Zero: nothing more.
	Wait Wait
	// AllowUnsafe lets Safe pass on a server that can lose or evict state.
	AllowUnsafe bool
	// Check replaces the question to the server how safe state is with it. Nil: ask by INFO and CONFIG.
	Check func(ctx context.Context) (Status, error)
	// Dial replaces the network; the URL still gives user, database and time-outs. Nil: TCP, TLS or unix socket.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Now is the caller's clock. Nil: time.Now. A timer is due when both it and the server's clock say so.
	Now func() time.Time
	// Marks vouch for records, events, deliveries and memory: what has no good mark is not believed (workflows.ErrForged).
	// Nil: whoever can write to the server is believed.
	Marks Marks
	// Unmarked believes also what has no mark at all, while marks are being introduced.
	Unmarked bool
	// Forged is told of each record that is not ours when it is read, also where the reading goes on without it. It
	// must not wait. Nil: nobody is told.
	Forged func(access.RequestID)
	// Spoiled is told of each remembered value that is not ours, when somebody asks for it. It must not wait. Nil: nobody is
	// told; it is logged anyway.
	Spoiled func()
	// Doubted is told of each factor that is not what Elevate wrote last, when that has been settled. Nil: nobody is told.
	Doubted func(ctx context.Context, d factor.Doubt)
	// Log gets what no caller is told: documents that cannot be read, shards that did not answer. Nil: nothing is logged.
	Log *slog.Logger
}

// Wait is the durability that arming asks for (WAIT, WAITAOF in the same pipeline). Where it is not reached in time,
// Take of an arm and Safe return ErrNotDurable: no activation begins, and what is armed ends by its own timer. What a person
// ends, refuses or extends waits for it too, so that a failover does not undo what they were told; where it is not reached in
// time, that is logged and goes on.
type Wait struct {
	// Replicas that must have the write. Zero: none.
	Replicas int
	// AOF asks the master to have it on disk, and the replicas too where the server is Redis 7.2 or newer (WAITAOF).
	// Older servers ignore it; appendfsync always gives the same for the master there.
	AOF bool
	// Timeout of the wait. Zero: 2 seconds.
	Timeout time.Duration
}

const (
	defaultPrefix  = "elevate:"
	defaultShards  = 16
	maxShards      = 1024
	defaultTimeout = 2 * time.Second
)

func (c *Config) fill() error {
	var problems []error
	if c.URL == "" {
		problems = append(problems, errors.New("store.url: missing"))
	}
	if c.Shards < 0 || c.Shards > maxShards {
		problems = append(problems, fmt.Errorf("store.shards: must be 1 to %d", maxShards))
	}
	if c.Wait.Replicas < 0 || c.Wait.Timeout < 0 {
		problems = append(problems, errors.New("store.wait: must not be negative"))
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		problems = append(problems, errors.New("store.prefix: must not contain braces"))
	}
	if c.Shards == 0 {
		c.Shards = defaultShards
	}
	if c.Wait.Timeout == 0 {
		c.Wait.Timeout = defaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Forged == nil {
		c.Forged = func(access.RequestID) {}
	}
	if c.Spoiled == nil {
		c.Spoiled = func() {}
	}
	if c.Doubted == nil {
		c.Doubted = func(context.Context, factor.Doubt) {}
	}
	return errors.Join(problems...)
}

// connect makes a client. Scripts may be repeated after a lost reply where retry is set; the claims of timers, errands
// and deliveries must not be, or what the lost reply held would rest until the end of its lease.
func (c *Config) connect(retry bool) (goredis.UniversalClient, error) {
	client, err := c.client(retry)
	if own := (*settingError)(nil); errors.As(err, &own) {
		return nil, fmt.Errorf("store.url: %w", own)
	}
	if err != nil {
		// The cause may quote the URL, and the URL may hold a password.
		return nil, errors.New("store.url: not a Redis URL; write redis://host:6379/0, or see the documentation for TLS, Sentinel and Cluster")
	}
	return client, nil
}

func (c *Config) client(retry bool) (goredis.UniversalClient, error) {
	address, err := listed(c.URL)
	if err != nil {
		return nil, err
	}
	retries := 0 // go-redis' own default
	if !retry {
		retries = -1
	}
	files := takeTLSFiles(address)
	switch kind, plain := c.kind(address); kind {
	case "sentinel":
		return c.failover(plain, files, retries)
	case "cluster":
		return c.cluster(plain, files, retries)
	case "":
		return c.single(plain, files, retries)
	}
	return nil, errors.New("unknown kind of server")
}

func (c *Config) failover(plain string, files tlsFiles, retries int) (goredis.UniversalClient, error) {
	o, err := goredis.ParseFailoverURL(plain)
	if err != nil {
		return nil, err
	}
	if o.MasterName == "" {
		return nil, &settingError{"master_name is missing; write redis+sentinel://host:26379/0?master_name=NAME"}
	}
	if err := files.into(o.TLSConfig); err != nil {
		return nil, err
	}
	o.MaxRetries, o.DisableIdentity, o.ContextTimeoutEnabled, o.Protocol, o.Dialer = retries, true, true, 2, c.Dial
	return goredis.NewFailoverClient(o), nil
}

func (c *Config) cluster(plain string, files tlsFiles, retries int) (goredis.UniversalClient, error) {
	o, err := goredis.ParseClusterURL(plain)
	if err != nil {
		return nil, err
	}
	if err := files.into(o.TLSConfig); err != nil {
		return nil, err
	}
	o.MaxRetries, o.DisableIdentity, o.ContextTimeoutEnabled, o.Protocol, o.Dialer = retries, true, true, 2, c.Dial
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if retries < 0 {
		o.MaxRedirects = -1 // they count what is repeated after a time-out too; what has moved is found by the next call
	}
	return relocating(goredis.NewClusterClient(o)), nil
}

func (c *Config) single(plain string, files tlsFiles, retries int) (goredis.UniversalClient, error) {
	o, err := goredis.ParseURL(plain)
	if err != nil {
		return nil, err
	}
	if err := files.into(o.TLSConfig); err != nil {
		return nil, err
	}
	o.MaxRetries, o.DisableIdentity, o.ContextTimeoutEnabled, o.Protocol, o.Dialer = retries, true, true, 2, c.Dial
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return goredis.NewClient(o), nil
}

// kind takes the part of the scheme that go-redis does not know off a URL.
func (c *Config) kind(address *url.URL) (kind, plain string) {
	scheme, kind, _ := strings.Cut(address.Scheme, "+")
	u := *address
	u.Scheme = scheme
	return kind, u.String()
}

// listed reads a URL whose host may be a list, and moves all but the first to the addr parameters of go-redis.
func listed(raw string) (*url.URL, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errors.New("no scheme")
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	user, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, hosts = authority[:i+1], authority[i+1:]
	}
	names := strings.Split(hosts, ",")
	u, err := url.Parse(scheme + "://" + user + names[0] + tail)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	for _, name := range names[1:] {
		query.Add("addr", name)
	}
	u.RawQuery = query.Encode()
	return u, nil
}
