package policy

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// capitalTwins and twins are the letters of other alphabets that many fonts draw like Latin ones: those that names are forged
// with. Unicode's own list (UTS #39) has thousands more, nearly all of them signs that no name has.
var (
	capitalTwins = strings.NewReplacer(
		"А", "A", "В", "B", "С", "C", "Е", "E", "Н", "H", "І", "I", "Ј", "J", "К", "K", "М", "M", "О", "O", "Р", "P", "Ѕ", "S", "Т", "T", "У", "Y", "Х", "X",
		"Α", "A", "Β", "B", "Ε", "E", "Η", "H", "Ι", "I", "Κ", "K", "Μ", "M", "Ν", "N", "Ο", "O", "Ρ", "P", "Τ", "T", "Υ", "Y", "Χ", "X", "Ζ", "Z",
	)
	twins = strings.NewReplacer(
		"а", "a", "в", "b", "с", "c", "ԁ", "d", "е", "e", "ѕ", "s", "ғ", "f", "һ", "h", "і", "i", "ј", "j", "к", "k", "ӏ", "l", "м", "m", "н", "h",
		"о", "o", "р", "p", "ԛ", "q", "г", "r", "т", "t", "ѵ", "v", "ԝ", "w", "х", "x", "у", "y", // Cyrillic
		"α", "a", "β", "b", "ε", "e", "η", "n", "ι", "i", "κ", "k", "μ", "m", "ν", "v", "ο", "o", "ρ", "p", "τ", "t", "υ", "u", "χ", "x", "ω", "w", "ζ", "z", // Greek
		"օ", "o", "ո", "n", "ս", "u", "հ", "h", "ց", "g", // Armenian
		"ı", "i", "ɑ", "a", "ɡ", "g", "ſ", "s", // Latin
		"0", "o", "1", "l", "|", "l", "rn", "m", "vv", "w",
	)
)

// Skeleton is a name as the eye takes it: names with the same skeleton look the same, or nearly so. It is for
// comparisons, not to be shown.
func Skeleton(name string) string {
	s := strings.ToLower(capitalTwins.Replace(norm.NFKC.String(CleanText(name))))
	s = twins.Replace(strings.ReplaceAll(s, "i", "l")) // a capital I is an l
	return strings.ReplaceAll(strings.ReplaceAll(s, "i", "l"), " ", "")
}

// MixesAlphabets tells whether a word of a name has letters of more than one of the alphabets that are taken for each
// other: an honest name has none.
func MixesAlphabets(name string) bool {
	for _, word := range strings.Fields(name) {
		seen := 0
		for _, alphabet := range []*unicode.RangeTable{unicode.Latin, unicode.Cyrillic, unicode.Greek, unicode.Armenian} {
			if strings.IndexFunc(word, func(r rune) bool { return unicode.Is(alphabet, r) }) >= 0 {
				seen++
			}
		}
		if seen > 1 {
			return true
		}
	}
	return false
}
