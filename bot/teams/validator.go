package teams

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/infracloudio/msbotbuilder-go/connector/auth"
	"github.com/infracloudio/msbotbuilder-go/schema"
)

const (
	// maxAuthorization is the longest header that is looked at, in bytes. Microsoft's have about one thousand.
	maxAuthorization = 16 << 10
	// maxSkew is how far Microsoft's clock may be from ours, either way. Its own libraries take the same.
	maxSkew = 5 * time.Minute
	// channelTeams is Teams among the channels of the Bot Framework.
	channelTeams = "msteams"
)

// errForged says that the caller did not prove to be Microsoft, speaking for Teams to this bot: 401.
var errForged = errors.New("the token is not Microsoft's for this bot and activity")

// validatorConfig is what a validator is made of. All of it is required; without AppID or Issuer nothing is let in.
type validatorConfig struct {
	AppID       string
	Issuer      string
	MetadataURL string // https, or http on a loopback address
	HTTP        *http.Client
	Now         func() time.Time
	Log         *slog.Logger
}

// validator tells whether an activity comes from Teams. msbotbuilder-go's own lets everybody in without an app id, panics
// on claims of other types, asks for keys before anything is proved, and looks at no endorsements.
type validator struct {
	cfg    validatorConfig
	parser *jwt.Parser
	claims *jwt.Validator
	keys   *keyring
}

var _ auth.TokenValidator = (*validator)(nil)

// newValidator makes a validator. It calls nobody.
func newValidator(cfg validatorConfig) *validator {
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(cfg.Issuer), jwt.WithAudience(cfg.AppID), jwt.WithExpirationRequired(),
		jwt.WithLeeway(maxSkew), jwt.WithTimeFunc(cfg.Now),
	}
	return &validator{cfg: cfg, parser: jwt.NewParser(options...), claims: jwt.NewValidator(options...), keys: newKeyring(cfg)}
}

// close ends what the validator has under way, and waits for it.
func (v *validator) close() { v.keys.close() }

// AuthenticateRequest tells whether the token of an Authorization header was signed by Microsoft, for this bot, for Teams
// and for the service URL of the activity. Its errors are errForged and errKeys. The library's credentials are not asked:
// they can switch authentication off.
func (v *validator) AuthenticateRequest(ctx context.Context, activity schema.Activity, header string, _ auth.CredentialProvider, _ string) (auth.ClaimsIdentity, error) {
	claims, err := v.authenticate(ctx, activity, header)
	switch {
	case err == nil:
		return identity{claims}, nil
	case errors.Is(err, errKeys):
		return nil, err
	default:
		return nil, fmt.Errorf("%w: %w", errForged, err)
	}
}

func (v *validator) authenticate(ctx context.Context, activity schema.Activity, header string) (jwt.MapClaims, error) {
	raw, bearer := strings.CutPrefix(header, "Bearer ")
	switch {
	case v.cfg.AppID == "" || v.cfg.Issuer == "":
		return nil, errors.New("app_id or issuer is not configured")
	case len(header) > maxAuthorization:
		return nil, fmt.Errorf("the Authorization header has %d bytes", len(header))
	case !bearer:
		return nil, errors.New("the Authorization header is missing, or not of Bearer")
	case strings.ContainsAny(raw, "\r\n"): // the decoder skips them: one token could be written in many ways
		return nil, errors.New("the token has more than one line")
	case activity.ChannelID != channelTeams:
		return nil, fmt.Errorf("the activity is of channel %.40q", activity.ChannelID)
	}
	claims := jwt.MapClaims{}
	_, err := v.parser.ParseWithClaims(raw, claims, func(t *jwt.Token) (any, error) {
		return v.key(ctx, t, claims, activity)
	})
	return claims, err
}

// key gives the key of a token. Everything that can be told without it is told before, so that garbage makes nobody
// fetch keys.
func (v *validator) key(ctx context.Context, t *jwt.Token, claims jwt.MapClaims, activity schema.Activity) (any, error) {
	for _, name := range []string{"crit", "jku", "jwk", "x5u", "x5c"} { // keys and rules of the token's own making
		if _, ok := t.Header[name]; ok {
			return nil, fmt.Errorf("the token's header has %s", name)
		}
	}
	kid, _ := t.Header["kid"].(string)
	if kid == "" {
		return nil, errors.New("the token names no key")
	}
	if err := v.claims.Validate(claims); err != nil {
		return nil, err
	}
	if aud, err := claims.GetAudience(); err != nil || len(aud) != 1 {
		return nil, jwt.ErrTokenInvalidAudience
	}
	if !sameService(claims["serviceurl"], activity.ServiceURL) {
		return nil, errors.New("the token is for another service URL than the activity's")
	}
	key, err := v.keys.find(ctx, kid)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(key.endorsements, channelTeams) {
		return nil, fmt.Errorf("key %q is not endorsed for Teams", kid)
	}
	return key.public, nil
}

// sameService compares service URLs as Microsoft's libraries do: a slash at the end does not matter.
func sameService(claimed any, activity string) bool {
	service, _ := claimed.(string)
	service = strings.TrimSuffix(service, "/")
	return service != "" && service == strings.TrimSuffix(activity, "/")
}

// identity is a token that was checked. The library's panics on claims that are missing.
type identity struct{ claims jwt.MapClaims }

// GetClaimValue is a claim, or "" where it is not a text.
func (i identity) GetClaimValue(name string) string {
	value, _ := i.claims[name].(string)
	return value
}

// IsAuthenticated is always true: there is no identity of a token that is not good.
func (i identity) IsAuthenticated() bool { return true }
