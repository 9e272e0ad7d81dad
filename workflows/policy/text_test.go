package policy

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func TestCleanTextKeepsWhatPeopleMeanAndDropsWhatHides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain":                        {"fix replication", "fix replication"},
		"line breaks become spaces":    {"fix\r\nreplication\n\n now\t!", "fix replication now !"},
		"trimmed":                      {"  \u00a0fix\u3000 ", "fix"},
		"only blanks":                  {" \u2800\u3000\u200b\ufeff\u3164 ", ""},
		"normal form C":                {"cafe\u0301", "café"},
		"accent kept apart":            {"cafe\u200b\u0301", "café"},
		"control characters":           {"a\x00b\x1b[31mc\u0085d", "ab[31mc d"},
		"bidi override":                {"pay \u202efdp.exe\u202c now", "pay fdp.exe now"},
		"bidi isolates and marks":      {"\u2066a\u2069\u200fb\u061c", "ab"},
		"zero width":                   {"ad\u200bm\u2060i\ufeffn\u00ad", "admin"},
		"tag characters":               {"hi\U000e0041\U000e007f", "hi"},
		"private use":                  {"\ue000a\U000f0000b\U0010fffd", "ab"},
		"noncharacters":                {"a\ufdd0\uffffb", "ab"},
		"broken UTF-8":                 {"a\xffb", "a\ufffdb"},
		"stacked marks":                {"a" + strings.Repeat("\u0316", 40) + "b", "a\u0316\u0316b"},
		"stacked Thai vowel":           {"ก" + strings.Repeat("\u0e47", 30), "ก\u0e47\u0e47"},
		"mark without a letter":        {"\u0301a \u0301b", "a b"},
		"Vietnamese":                   {"Nguyễn đã sửa", "Nguyễn đã sửa"},
		"Devanagari":                   {"हिन्दी में", "हिन्दी में"},
		"Hebrew":                       {"שלום עולם", "שלום עולם"},
		"Arabic":                       {"إصلاح قاعدة البيانات", "إصلاح قاعدة البيانات"},
		"Persian keeps its non-joiner": {"می\u200cخواهم", "می\u200cخواهم"},
		"non-joiner elsewhere":         {"ad\u200cmin", "admin"},
		"Chinese":                      {"修复复制", "修复复制"},
		"emoji":                        {"done ✅ 🎉", "done ✅ 🎉"},
		"family":                       {"👨\u200d👩\u200d👧\u200d👦 leave", "👨\u200d👩\u200d👧\u200d👦 leave"},
		"skin tone and profession":     {"👩🏽\u200d💻", "👩🏽\u200d💻"},
		"styled join":                  {"❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈", "❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈"},
		"keycap":                       {"1\ufe0f\u20e3", "1\ufe0f\u20e3"},
		"flag":                         {"🇵🇹", "🇵🇹"},
		"style on a letter":            {"a\ufe0fb\ufe00", "ab"},
		"joiner between letters":       {"a\u200db", "ab"},
		"joiner at the end":            {"👩\u200d", "👩"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := CleanText(c.in); got != c.want {
				t.Errorf("CleanText(%+q) = %+q, want %+q", c.in, got, c.want)
			}
		})
	}
}

func FuzzCleanText(f *testing.F) {
	for _, s := range []string{"", "a\u0301\u0301\u0301", "👨\u200d👩", "1\ufe0f\u20e3", "\u202e\u0000 \u2028x", "می\u200cخ", "\u1100\u1161\u11a8", "\xf0\x28"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := CleanText(s)
		if again := CleanText(got); again != got {
			t.Fatalf("not settled: %+q → %+q → %+q", s, got, again)
		}
		if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || strings.TrimSpace(got) != got || strings.Contains(got, "  ") {
			t.Fatalf("%+q → %+q", s, got)
		}
		marks := 0
		for _, r := range got {
			if unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) {
				marks++
			} else {
				marks = 0
			}
			hidden := unicode.In(r, unicode.Cc, unicode.Co, unicode.Cs) ||
				unicode.Is(unicode.Cf, r) && r != zeroWidthJoiner && r != zeroWidthNonJoiner
			if hidden || marks > maxMarks+1 { // a style counts as a mark to Unicode
				t.Fatalf("%+q → %+q keeps %U", s, got, r)
			}
		}
	})
}
