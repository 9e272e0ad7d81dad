package bot

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPaceLetsABurstThroughAndThenTheAverage(t *testing.T) {
	t.Parallel()
	p := NewPace(6, time.Minute)
	now := noon
	done := func(n int) (through int) {
		for range n {
			if says, _ := p.Act("U1", now); says == "" {
				through++
			}
		}
		return through
	}
	if n := done(100); n != 6 {
		t.Fatalf("%d of a hundred at once", n)
	}
	says, first := p.Act("U1", now)
	if first || !strings.Contains(says, "6 things within 1 minute") || !strings.Contains(says, "Try again in 11 seconds.") && !strings.Contains(says, "Try again in 10 seconds.") {
		t.Errorf("told %q, first %t", says, first)
	}
	if says, _ := p.Act("U2", now); says != "" {
		t.Errorf("somebody else is told %q", says)
	}
	now = now.Add(11 * time.Second)
	if n := done(100); n != 1 {
		t.Errorf("%d of a hundred, eleven seconds later", n)
	}
	now = now.Add(time.Hour)
	if n := done(100); n != 6 {
		t.Errorf("%d of a hundred, an hour later", n)
	}
}

func TestPaceTellsTheFirstTimeThatThereIsNoRoom(t *testing.T) {
	t.Parallel()
	p := NewPace(1, time.Minute)
	var firsts []bool
	for range 4 {
		_, first := p.Act("U1", noon)
		firsts = append(firsts, first)
	}
	if fmt.Sprint(firsts) != "[false true false false]" {
		t.Errorf("%v", firsts)
	}
	p.Act("U1", noon.Add(2*time.Minute))
	if _, first := p.Act("U1", noon.Add(2*time.Minute)); !first {
		t.Error("a later flood is not told of")
	}
}

func TestPaceCostsLittleToLook(t *testing.T) {
	t.Parallel()
	p := NewPace(6, time.Minute)
	looks := 0
	for ; looks < 1000; looks++ {
		if says, _ := p.Look("U1", noon); says != "" {
			break
		}
	}
	if looks != 60 {
		t.Errorf("%d looks at once", looks)
	}
}

func TestPaceForgetsThoseWhoDoNothing(t *testing.T) {
	t.Parallel()
	p := NewPace(6, time.Minute)
	for i := range 3 * mostPaced {
		p.Act(fmt.Sprint(i), noon.Add(time.Duration(i)*time.Millisecond))
	}
	if len(p.known) > mostPaced {
		t.Errorf("%d accounts are known", len(p.known))
	}
}

func TestNoPaceBoundsNothing(t *testing.T) {
	t.Parallel()
	p := NewPace(0, time.Minute)
	for range 1000 {
		if says, _ := p.Act("U1", noon); says != "" {
			t.Fatal(says)
		}
	}
}

// TestUrgentIsWhatDecidesOrEnds, by words, buttons and forms.
func TestUrgentIsWhatDecidesOrEnds(t *testing.T) {
	t.Parallel()
	for words, urgent := range map[string]bool{
		"end 07kq4-m2xp9": true, "/elevate END 07kq4-m2xp9 done": true, "cancel 07kq4-m2xp9": true, "approve 07kq4-m2xp9": true,
		"prod-db-admin 1h end it all": false, "": false, "mine": false, "ending 1h": false, "extend 07kq4-m2xp9 1h": false,
	} {
		if UrgentWords(words) != urgent {
			t.Errorf("%q: urgent %t", words, !urgent)
		}
	}
	for _, a := range []Action{ActApprove, ActDeny, ActCancel, ActEnd} {
		if !a.Urgent() {
			t.Errorf("%s is not", a)
		}
	}
	for _, a := range []Action{ActRequest, ActExtend, ActAgain, ActDetails} {
		if a.Urgent() {
			t.Errorf("%s is", a)
		}
	}
	if !FormDeny.Urgent() || !FormApprove.Urgent() || FormRequest.Urgent() {
		t.Error("forms")
	}
}
