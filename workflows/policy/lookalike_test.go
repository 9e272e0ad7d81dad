package policy

import "testing"

func TestNamesThatLookTheSameHaveOneSkeleton(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{"Ana Lima", "Аna Lima"}, {"Ana Lima", "ANA LIMA"}, {"Ana Lima", "Ana  L\u200bima"}, {"Ana Lima", "Ana Iima"}, {"Oscar", "0scar"}, {"Morris", "Моrris"},
		{"Marnie", "Mamie"}, {"ＡＮＡ", "Ana"}, {"Νina", "Nina"}, {"Paypal", "Раураl"},
	} {
		if a, b := Skeleton(pair[0]), Skeleton(pair[1]); a != b {
			t.Errorf("%q is seen as %q, %q as %q", pair[0], a, pair[1], b)
		}
	}
	for _, pair := range [][2]string{{"Ana Lima", "Ana Lime"}, {"Ben", "Bea"}, {"José", "Jose"}, {"Анна", "Ana"}, {"李伟", "李玮"}} {
		if Skeleton(pair[0]) == Skeleton(pair[1]) {
			t.Errorf("%q and %q are seen as the same", pair[0], pair[1])
		}
	}
}

func TestMixedAlphabetsAreSeenWithinAWord(t *testing.T) {
	t.Parallel()
	for name, mixed := range map[string]bool{
		"Ana Lima": false, "Анна Каренина": false, "Anna Каренина": false, "Νίκος": false, "Müller-Łódź": false, "李伟 Li Wei": false, "O'Brien 2": false,
		"Аna": true, "Ana Limа": true, "Οscar": true,
	} {
		if MixesAlphabets(name) != mixed {
			t.Errorf("%q: mixed %t", name, !mixed)
		}
	}
}

// FuzzSkeleton: looking twice shows the same, and what is cleaned away is not seen.
func FuzzSkeleton(f *testing.F) {
	for _, s := range []string{"", "Ana Lima", "Аna", "\u202eAna", "ＡＮＡ", "rn", "𝐀𝐧𝐚"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if a, b := Skeleton(s), Skeleton(CleanText(s)); a != b {
			t.Fatalf("%+q is seen as %+q, and cleaned as %+q", s, a, b)
		}
		_ = MixesAlphabets(s)
	})
}
