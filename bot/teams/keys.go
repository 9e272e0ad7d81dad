package teams

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	// keysMaxAge is how long keys are trusted without asking again, and so when a key that Microsoft withdrew stops
	// being one. BotBuilder takes the same.
	keysMaxAge = 24 * time.Hour
	// keysMaxStale is how long they are used on where Microsoft cannot be asked.
	keysMaxStale = 48 * time.Hour
	// keysGap is the least time between two fetches, whatever asks for them and however they end.
	keysGap = time.Minute
	// keysRetry is the same while there is no key to go by, when nobody can be let in.
	keysRetry = 10 * time.Second
	// keysTimeout is the longest that a fetch of both documents may take.
	keysTimeout = 5 * time.Second

	maxMetadata = 64 << 10 // bytes; Microsoft's has less than one thousand
	maxKeys     = 1 << 20  // bytes; Microsoft's have some ten thousand
)

var (
	// errKeys says that the keys could not be had, so that nothing is known of a token: 503.
	errKeys       = errors.New("the keys that tokens are checked with could not be fetched")
	errUnknownKey = errors.New("no published key has the token's kid")
)

// signingKey is a key that Microsoft signs with.
type signingKey struct {
	public       *rsa.PublicKey
	endorsements []string // the channels that it may sign for
}

// keyring holds the published keys. Libraries that do drop the endorsements.
type keyring struct {
	metadata string
	http     http.Client
	now      func() time.Time
	log      *slog.Logger
	ctx      context.Context // of fetches: they serve everybody who waits, not the one who came first
	stop     context.CancelFunc

	mu      sync.Mutex
	keys    map[string]signingKey
	fetched time.Time     // when the keys were asked for
	tried   time.Time     // when keys were asked for last, in vain or not
	failed  error         // how that ended
	flight  chan struct{} // closed when the fetch under way ends; nil: there is none
}

func newKeyring(cfg validatorConfig) *keyring {
	k := &keyring{metadata: cfg.MetadataURL, http: *cfg.HTTP, now: cfg.Now, log: cfg.Log}
	k.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	k.ctx, k.stop = context.WithCancel(context.Background())
	return k
}

// close ends the fetch that is under way and waits for it. Later ones fail at once.
func (k *keyring) close() {
	k.stop()
	k.mu.Lock()
	flight := k.flight
	k.mu.Unlock()
	if flight != nil {
		<-flight
	}
}

// find gives the key of an id. It fetches the keys where they are old, and where they have no such id, but no more often
// than keysGap; all who need that fetch wait for the same one.
func (k *keyring) find(ctx context.Context, kid string) (signingKey, error) {
	k.mu.Lock()
	key, ok := k.keys[kid]
	if ok && k.age() < keysMaxAge {
		k.mu.Unlock()
		return key, nil
	}
	k.refresh()
	flight := k.flight
	k.mu.Unlock()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return signingKey{}, fmt.Errorf("%w: %w", errKeys, ctx.Err())
		}
	}
	return k.known(kid)
}

func (k *keyring) known(kid string) (signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch key, ok := k.keys[kid]; {
	case ok && k.age() < keysMaxStale:
		return key, nil
	case k.failed != nil: // the key may be one that was published since
		return signingKey{}, fmt.Errorf("%w: %w", errKeys, k.failed)
	default:
		return signingKey{}, errUnknownKey
	}
}

// age is how old the keys are. Keys of the future are as bad: the clock was set back. The lock is held.
func (k *keyring) age() time.Duration { return k.now().Sub(k.fetched).Abs() }

// refresh begins a fetch where none is under way and the last one is long enough ago. The lock is held.
func (k *keyring) refresh() {
	gap := keysGap
	if k.age() >= keysMaxStale {
		gap = keysRetry
	}
	now := k.now()
	if k.flight != nil || now.Sub(k.tried).Abs() < gap {
		return
	}
	k.tried, k.flight = now, make(chan struct{})
	go func() {
		keys, err := k.fetch()
		if used := k.land(keys, err); err != nil && used {
			k.log.Warn("Microsoft's keys could not be fetched; the old ones are used on", "err", err)
		}
	}()
}

// land ends the fetch under way, and tells whether there are keys to go by.
func (k *keyring) land(keys map[string]signingKey, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.keys, k.fetched = keys, k.tried
	}
	k.failed = err
	close(k.flight)
	k.flight = nil
	return k.age() < keysMaxStale
}

// fetch asks the metadata where the keys are, and gets them.
func (k *keyring) fetch() (map[string]signingKey, error) {
	ctx, cancel := context.WithTimeout(k.ctx, keysTimeout)
	defer cancel()
	from, err := url.Parse(k.metadata)
	if err != nil || !private(from) {
		return nil, fmt.Errorf("metadata_url %q is not an https address", k.metadata)
	}
	var metadata struct {
		Keys string `json:"jwks_uri"`
	}
	if err := k.get(ctx, k.metadata, maxMetadata, &metadata); err != nil {
		return nil, err
	}
	if at, err := url.Parse(metadata.Keys); err != nil || !vouched(from, at) {
		return nil, fmt.Errorf("%s names keys at %q, which is not an https address of its own domain", k.metadata, metadata.Keys)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.get(ctx, metadata.Keys, maxKeys, &set); err != nil {
		return nil, err
	}
	keys := map[string]signingKey{}
	why := errors.New("there is none")
	for _, raw := range set.Keys {
		kid, key, err := parseKey(raw)
		if err != nil {
			why = err // those of another kind do not take the good ones with them
			continue
		}
		keys[kid] = key
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s has no key that can be used: %w", metadata.Keys, why)
	}
	return keys, nil
}

func (k *keyring) get(ctx context.Context, address string, limit int64, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := k.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", address, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	if int64(len(body)) > limit {
		return fmt.Errorf("%s answered more than %d bytes", address, limit)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}

// private tells whether nobody on the way can answer in an address's place: it is https or, in tests, on this machine.
func private(u *url.URL) bool {
	return u.Hostname() != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && onLoopback(u))
}

// vouched tells whether keys are taken from where the metadata says: from its own host or, over https, from another one
// of its domain. Microsoft has both documents on one host, in each of its clouds.
func vouched(metadata, keys *url.URL) bool {
	if !private(keys) || keys.Scheme != metadata.Scheme {
		return false
	}
	if strings.EqualFold(keys.Host, metadata.Host) {
		return true
	}
	host := strings.ToLower(metadata.Hostname())
	_, domain, _ := strings.Cut(host, ".")
	return keys.Scheme == "https" && keys.Port() == "" && net.ParseIP(host) == nil && strings.Contains(domain, ".") &&
		strings.HasSuffix(strings.ToLower(keys.Hostname()), "."+domain)
}

// parseKey reads a JSON Web Key, and takes those alone that RS256 signatures are checked with.
func parseKey(raw []byte) (kid string, key signingKey, err error) {
	var jwk struct {
		Kid          string   `json:"kid"`
		Type         string   `json:"kty"`
		Use          string   `json:"use"`
		Alg          string   `json:"alg"`
		N            string   `json:"n"`
		E            string   `json:"e"`
		Endorsements []string `json:"endorsements"`
	}
	if err := json.Unmarshal(raw, &jwk); err != nil {
		return "", key, err
	}
	if jwk.Kid == "" || jwk.Type != "RSA" || jwk.Use != "sig" || jwk.Alg != "" && jwk.Alg != "RS256" {
		return "", key, fmt.Errorf("key %q is %s for %s %s, not RSA for signatures", jwk.Kid, jwk.Type, jwk.Use, jwk.Alg)
	}
	n, nErr := base64.RawURLEncoding.DecodeString(jwk.N)
	e, eErr := base64.RawURLEncoding.DecodeString(jwk.E)
	if err := errors.Join(nErr, eErr); err != nil {
		return "", key, fmt.Errorf("key %q: %w", jwk.Kid, err)
	}
	modulus, exponent := new(big.Int).SetBytes(n), new(big.Int).SetBytes(e)
	if bits := modulus.BitLen(); bits < 2048 || bits > 8192 { // crypto/tls stops there too: checking takes long
		return "", key, fmt.Errorf("key %q has %d bits, not 2048 to 8192", jwk.Kid, bits)
	}
	if exponent.BitLen() > 31 || exponent.Int64() < 3 || exponent.Bit(0) == 0 {
		return "", key, fmt.Errorf("key %q has no exponent of RSA", jwk.Kid)
	}
	return jwk.Kid, signingKey{&rsa.PublicKey{N: modulus, E: int(exponent.Int64())}, jwk.Endorsements}, nil
}
