package slack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"elevate/workflows/access"
)

// Slack signs every request: HMAC-SHA256 of "v0:<timestamp>:<raw body>", in hexadecimal after "v0=".
const (
	headerSignature = "X-Slack-Signature"
	headerTimestamp = "X-Slack-Request-Timestamp"
	// maxSkew is how far a request's timestamp may be from our clock, either way (Slack: five minutes).
	maxSkew = 5 * time.Minute
)

var (
	errHeaders   = errors.New("signature headers are missing, doubled or malformed")
	errClock     = errors.New("timestamp is more than five minutes away from this machine's clock")
	errSignature = errors.New("signature does not match")
)

// verifier checks signatures. slack-go's own takes the first of doubled headers and cannot be given a clock.
type verifier struct {
	secrets []access.Secret
	now     func() time.Time
}

// verify tells whether a body came from Slack, before a byte of it is parsed.
func (v verifier) verify(h http.Header, body []byte) error {
	stamp, err := only(h, headerTimestamp)
	if err != nil {
		return err
	}
	given, err := only(h, headerSignature)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseUint(stamp, 10, 40)
	if err != nil {
		return errHeaders
	}
	digest, ok := strings.CutPrefix(given, "v0=")
	if !ok || len(digest) != hex.EncodedLen(sha256.Size) {
		return errHeaders
	}
	sum, err := hex.DecodeString(digest)
	if err != nil {
		return errHeaders
	}
	if v.now().Sub(time.Unix(int64(seconds), 0)).Abs() > maxSkew {
		return errClock
	}
	for _, secret := range v.secrets {
		if hmac.Equal(sum, sign(secret.Reveal(), stamp, body)) {
			return nil
		}
	}
	return errSignature
}

func only(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) != 1 || values[0] == "" {
		return "", errHeaders
	}
	return values[0], nil
}

func sign(secret, stamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	return mac.Sum(nil)
}
