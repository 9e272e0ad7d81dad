package activedirectory

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// guid is an object's GUID as the directory keeps it: the first three of its groups have their bytes turned round.
type guid [16]byte

var errNoGUID = errors.New("is no object GUID; write it as Get-ADGroup prints it, in small letters: 0b8a3cd1-5f0e-4c11-9d0b-2f4f5a6b7c8d")

// parseGUID reads the one way to write a GUID.
func parseGUID(text string) (guid, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(raw) != len(guid{}) {
		return guid{}, errNoGUID
	}
	id := turned(guid(raw))
	if id.String() != text {
		return guid{}, errNoGUID
	}
	return id, nil
}

// readGUID takes an attribute's value.
func readGUID(raw []byte) (guid, bool) {
	if len(raw) != len(guid{}) {
		return guid{}, false
	}
	return guid(raw), true
}

// turned goes from the directory's order of bytes to the one that is written, and back.
func turned(g guid) guid {
	g[0], g[1], g[2], g[3] = g[3], g[2], g[1], g[0]
	g[4], g[5], g[6], g[7] = g[5], g[4], g[7], g[6]
	return g
}

func (g guid) String() string {
	w := turned(g)
	return fmt.Sprintf("%x-%x-%x-%x-%x", w[:4], w[4:6], w[6:8], w[8:10], w[10:])
}

// dn names the object whatever it is called and wherever it is.
func (g guid) dn() string { return "<GUID=" + g.String() + ">" }

// sid is a security identifier as it is written: S-1-5-21-… Empty: none.
type sid string

// readSID takes an attribute's value: a revision, a count, six bytes of authority, and four for each part.
func readSID(raw []byte) sid {
	if len(raw) < 8 || len(raw) != 8+4*int(raw[1]) {
		return ""
	}
	authority := uint64(binary.BigEndian.Uint16(raw[2:4]))<<32 | uint64(binary.BigEndian.Uint32(raw[4:8]))
	text := fmt.Sprintf("S-%d-%d", raw[0], authority)
	for part := raw[8:]; len(part) > 0; part = part[4:] {
		text += "-" + strconv.FormatUint(uint64(binary.LittleEndian.Uint32(part)), 10)
	}
	return sid(text)
}

// inDomain is the identifier of an account of the same domain as a group: the same but for the last part.
func (s sid) inDomain(rid string) sid {
	i := strings.LastIndexByte(string(s), '-')
	if i < 0 || rid == "" {
		return ""
	}
	return s[:i+1] + sid(rid)
}

// rid is the last part: the number within the domain.
func (s sid) rid() string { return string(s[strings.LastIndexByte(string(s), '-')+1:]) }
