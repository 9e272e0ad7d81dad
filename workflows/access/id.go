package access

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// The alphabet of ids is Crockford's base 32: no i, l, o or u, so that an id can be read aloud and typed back.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// idEpoch is minute zero of the ids; 25 bits of minutes last until 2089.
var idEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	minuteDigits = 5
	randomDigits = 5
)

// NewID makes an id of two groups of five, such as 07kq4-m2xp9: the minute it was made in, then 25 random bits. The
// minutes keep ids from ever being reused, also after the store was emptied; within a minute the store refuses an id
// that it has (ErrTaken) and the caller draws again.
func NewID(now time.Time) RequestID {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	minutes := uint64(max(0, now.Sub(idEpoch)) / time.Minute)
	return RequestID(digits(minutes, minuteDigits) + "-" + digits(binary.BigEndian.Uint64(b[:]), randomDigits))
}

// Number gives the number that an id is written for, of 50 bits: it is what millions of ids are kept as. False where NewID
// does not make such ids.
func (id RequestID) Number() (n uint64, ok bool) {
	if len(id) != minuteDigits+1+randomDigits || id[minuteDigits] != '-' {
		return 0, false
	}
	for i := range len(id) {
		if i == minuteDigits {
			continue
		}
		d := strings.IndexByte(alphabet, id[i])
		if d < 0 {
			return 0, false
		}
		n = n*32 + uint64(d)
	}
	return n, true
}

// NumberedID gives the id that has a number.
func NumberedID(n uint64) RequestID {
	const half = 1 << (5 * randomDigits)
	return RequestID(digits(n/half, minuteDigits) + "-" + digits(n%half, randomDigits))
}

func digits(v uint64, n int) string {
	out := make([]byte, n)
	for i := n - 1; i >= 0; i-- {
		out[i] = alphabet[v%32]
		v /= 32
	}
	return string(out)
}

// ErrNotAnID says that a text is not a request id.
var ErrNotAnID = errors.New("not a request id")

// ParseID reads an id as people type it: any case, with or without the hyphen, o for 0, i and l for 1.
func ParseID(s string) (RequestID, error) {
	var b strings.Builder
	for _, c := range strings.ToLower(strings.TrimSpace(s)) {
		switch c {
		case '-', ' ':
			continue
		case 'o':
			c = '0'
		case 'i', 'l':
			c = '1'
		}
		if !strings.ContainsRune(alphabet, c) || b.Len() == minuteDigits+randomDigits {
			return "", ErrNotAnID
		}
		b.WriteRune(c)
	}
	if b.Len() != minuteDigits+randomDigits {
		return "", ErrNotAnID
	}
	id := b.String()
	return RequestID(id[:minuteDigits] + "-" + id[minuteDigits:]), nil
}
