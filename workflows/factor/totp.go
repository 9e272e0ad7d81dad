package factor

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"image/png"
	"regexp"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"elevate/workflows/access"
)

// What every authenticator app knows: SHA-1, six digits, a new code every 30 seconds.
const (
	period   = 30 * time.Second
	digits   = otp.DigitsSix
	seedSize = 20 // bytes; RFC 4226 recommends the length of the hash
	leastKey = 16 // bytes; RFC 4226 requires 128 bits
)

// issuers are names that the library writes into the app's address without their changing its meaning.
var issuers = regexp.MustCompile(`^[A-Za-z0-9 ._-]{1,64}$`)

// CheckIssuer tells what is wrong with the name that apps show, or nil.
func CheckIssuer(name string) error {
	if !issuers.MatchString(name) || strings.TrimSpace(name) != name {
		return errors.New("must be up to 64 letters, digits, spaces and . _ -, as authenticator apps show it")
	}
	return nil
}

var seedText = base32.StdEncoding.WithPadding(base32.NoPadding)

// newSeed draws the secret that a person's app and Elevate share.
func newSeed() access.Secret {
	raw := make([]byte, seedSize)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the program instead
	return access.NewSecret(seedText.EncodeToString(raw))
}

var errSeed = errors.New("the seed is missing or too short to be one")

// checkSeed refuses what is no seed of ours. The library takes the code of an empty one, which anybody can work out.
func checkSeed(seed access.Secret) error {
	raw, err := seedText.DecodeString(seed.Reveal())
	if err != nil || len(raw) < leastKey {
		return errSeed
	}
	return nil
}

// sixDigits reads a code as people type it: apps show it in two groups.
func sixDigits(code access.Secret) (string, bool) {
	text := strings.NewReplacer(" ", "", "\u00a0", "", "-", "").Replace(strings.TrimSpace(code.Reveal()))
	if len(text) != digits.Length() {
		return "", false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return "", false
		}
	}
	return text, true
}

// stepOf is the number of the step that a moment lies in.
func stepOf(at time.Time) int64 { return at.Unix() / int64(period/time.Second) }

// match finds the step, at most skew from now, whose code it is. The library's own check says no more than yes, which
// is not enough to take each code once.
func match(seed access.Secret, code string, now time.Time, skew int64) (step int64, ok bool, err error) {
	if err := checkSeed(seed); err != nil {
		return 0, false, err
	}
	for at := stepOf(now) - skew; at <= stepOf(now)+skew; at++ {
		same, err := hotp.ValidateCustom(code, uint64(at), seed.Reveal(), hotp.ValidateOpts{Digits: digits, Algorithm: otp.AlgorithmSHA1})
		if err != nil {
			return 0, false, fmt.Errorf("check a code: %w", err)
		}
		if same { // the latest, so that its twin of an earlier step is spent with it
			step, ok = at, true
		}
	}
	return step, ok, nil
}

// picture is the QR code that an app reads the seed from, as PNG.
func picture(issuer string, person access.PersonID, seed access.Secret) (access.Secret, error) {
	raw, err := seedText.DecodeString(seed.Reveal())
	if err != nil {
		return access.Secret{}, errSeed
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: issuer, AccountName: string(person), Secret: raw, Period: uint(period / time.Second), Digits: digits, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return access.Secret{}, errors.New("make the address for an app: refused by the library")
	}
	const pixels = 240
	image, err := key.Image(pixels, pixels)
	if err != nil {
		return access.Secret{}, errors.New("draw the QR code: refused by the library")
	}
	var out bytes.Buffer
	if err := png.Encode(&out, image); err != nil {
		return access.Secret{}, fmt.Errorf("draw the QR code: %w", err)
	}
	return access.NewSecret(out.String()), nil
}
