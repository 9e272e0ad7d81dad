package policy

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxMarks is how many combining marks a character keeps. Two are enough for Vietnamese, Thai and vowelled Hebrew; more
// are mostly used to draw over other people's lines.
const maxMarks = 2

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	keycap             = '\u20e3'
	textStyle          = '\ufe0e'
	emojiStyle         = '\ufe0f'
)

// CleanText is what a person wrote as others get to see it: one line in normal form C, without control characters,
// invisible ones, changes of writing direction, private-use characters, and stacks of combining marks. Letters of every
// script stay, and so do emoji, also joined ones. Cleaning twice changes nothing.
func CleanText(s string) string {
	in := []rune(norm.NFC.String(s))
	c := cleaner{out: make([]rune, 0, len(in))}
	for i, r := range in {
		c.add(r, in[i+1:])
	}
	// What was taken out may have kept a letter and its accent apart.
	return norm.NFC.String(strings.TrimRight(string(c.out), " "))
}

type cleaner struct {
	out   []rune
	marks int // combining marks on the last character
}

func (c *cleaner) add(r rune, rest []rune) {
	switch {
	case isSpace(r):
		if len(c.out) > 0 && c.last() != ' ' {
			c.push(' ')
		}
	case r == zeroWidthJoiner:
		if c.afterPicture() && len(rest) > 0 && isPicture(rest[0]) {
			c.push(r)
		}
	case r == zeroWidthNonJoiner: // spelling, in Persian and its neighbours
		if unicode.Is(unicode.Arabic, c.last()) && len(rest) > 0 && unicode.Is(unicode.Arabic, rest[0]) && unicode.IsLetter(rest[0]) {
			c.push(r)
		}
	case r == textStyle || r == emojiStyle:
		if isPicture(c.last()) || isKeycapBase(c.last()) && len(rest) > 0 && rest[0] == keycap {
			c.push(r)
		}
	case isHidden(r):
	case isMark(r):
		if len(c.out) > 0 && c.last() != ' ' && c.marks < maxMarks {
			c.out = append(c.out, r)
			c.marks++
		}
	default:
		c.push(r)
	}
}

func (c *cleaner) push(r rune) {
	c.out = append(c.out, r)
	c.marks = 0
}

// last is the last character kept, or zero.
func (c *cleaner) last() rune {
	if len(c.out) == 0 {
		return 0
	}
	return c.out[len(c.out)-1]
}

// afterPicture tells whether the last character kept is a picture, with or without its style.
func (c *cleaner) afterPicture() bool {
	n := len(c.out)
	return isPicture(c.last()) || c.last() == emojiStyle && n > 1 && isPicture(c.out[n-2])
}

func isSpace(r rune) bool {
	const blankBraille = '\u2800' // no space by its class, and yet nothing is to be seen
	return unicode.IsSpace(r) || r == blankBraille
}

// isHidden tells what is never to be seen by itself: controls, formats (among them directions and tags), private use,
// and whatever else Unicode says to ignore when it cannot be shown.
func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Variation_Selector,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point)
}

// isMark tells what is drawn onto the character before it: combining marks, and the Hangul vowels and finals that join
// the consonant before them into one syllable.
func isMark(r rune) bool {
	const firstVowel, lastFinal = '\u1160', '\u11ff'
	return unicode.In(r, unicode.Mn, unicode.Me) || r >= firstVowel && r <= lastFinal
}

func isKeycapBase(r rune) bool { return r >= '0' && r <= '9' || r == '#' || r == '*' }

// isPicture tells emoji and what may become one by its style, near enough: symbols that are neither currency nor
// punctuation, skin tones, and the few others that Unicode lists as pictographs.
func isPicture(r rune) bool {
	switch {
	case r < 0x80:
		return false
	case r >= 0x1f000 && r <= 0x1faff:
		return true
	case r >= 0x2190 && r <= 0x2bff: // arrows to miscellaneous symbols
		return unicode.IsSymbol(r)
	}
	return unicode.Is(unicode.So, r) || r == '‼' || r == '⁉' || r == '〰' || r == '〽'
}
