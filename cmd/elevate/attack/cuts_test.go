package attack_test

import (
	"strings"
	"testing"
)

// TestEveryCutFitsTheSource needs no build: whoever changes a line that a defence stands in hears of it soon.
func TestEveryCutFitsTheSource(t *testing.T) {
	t.Parallel()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := overlaid(root, t.TempDir(), attacks()); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]cut{
		"is not there":   {verifyFile, "if nobody.ever(wrote) {", ""},
		"is there twice": {verifyFile, "return err", ""},
	} {
		_, err := overlaid(root, t.TempDir(), []attack{{id: "T00", without: []cut{c}}})
		if err == nil || !strings.Contains(err.Error(), "T00") || !strings.Contains(err.Error(), c.was) {
			t.Errorf("a cut of what %s: %v", what, err)
		}
	}
}

// TestEveryKindOfTryMustSucceedWithoutTheDefence, or be named with what stands in its way besides; and what is named must be so.
func TestEveryKindOfTryMustSucceedWithoutTheDefence(t *testing.T) {
	t.Parallel()
	a := attack{defence: "a wall", also: map[string]string{"over": "a roof"}}
	for _, c := range []struct {
		product, without map[string]bool
		want             string // in the one problem; empty: there is none
	}{
		{map[string]bool{"through": false, "over": false}, map[string]bool{"through": true, "over": false}, ""},
		{map[string]bool{"through": false, "over": false}, map[string]bool{"through": false, "over": false}, `"through"`},
		{map[string]bool{"through": false, "over": false}, map[string]bool{"over": false}, `"through"`},
		{map[string]bool{"through": false, "over": false}, map[string]bool{"through": true, "over": true}, "a roof"},
		{map[string]bool{"through": false}, map[string]bool{"through": true}, "no tries"},
	} {
		problems := a.survived(c.product, c.without)
		if c.want == "" && len(problems) > 0 || c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], c.want)) {
			t.Errorf("%v, without the defence %v: %q, want %q", c.product, c.without, problems, c.want)
		}
	}
}

// TestTheTableTakesWhatWasTried: rows of a run replace those before, an attack that did not end as it should has none, and
// one that was changed since has none either.
func TestTheTableTakesWhatWasTried(t *testing.T) {
	t.Parallel()
	all := attacks()
	before := map[string][]string{}
	for _, a := range all {
		before[a.id] = []string{a.id, a.what, "7", "0", a.defence, "3 of 7"}
	}
	before[all[3].id][1] = "something else was tried"
	before[all[4].id][3] = "1"
	b := &board{rows: map[string]*row{}}
	b.note(all[1].id, &row{attack: all[1], tries: 5_000, mutant: "5 of 9"})
	b.note(all[2].id, nil)
	made := rows(b.table(before))
	for i, want := range map[int]string{0: "7", 1: "5,000", 2: "", 3: "", 4: "", 5: "7"} {
		got := ""
		if cells := made[all[i].id]; cells != nil {
			got = cells[2]
		}
		if got != want {
			t.Errorf("%s was tried %q times, want %q", all[i].id, got, want)
		}
	}
}
