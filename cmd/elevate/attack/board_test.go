package attack_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The table stands in SECURITY.md between these lines.
const (
	tableBegin = "<!-- attacks: written by make attack -->"
	tableEnd   = "<!-- /attacks -->"
)

// row is what came of an attack.
type row struct {
	attack
	tries, accepted int
	mutant          string // how much was accepted without the defence
}

// board collects the rows of a run: by attack, nil for one that did not end as it should.
type board struct {
	mu   sync.Mutex
	rows map[string]*row
}

func (b *board) note(id string, r *row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[id] = r
}

func (r row) String() string {
	defence, mutant := r.stands(), r.mutant
	if r.defence == "" {
		defence, mutant = "none is needed: there is no such way in", "–"
	}
	return fmt.Sprintf("| %s | %s | %s | %d | %s | %s |", r.id, r.what, thousands(r.tries), r.accepted, defence, mutant)
}

func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// table is the rows of a run, and between them those of earlier runs whose attacks were not tried in this one.
func (b *board) table(before map[string][]string) string {
	var rows strings.Builder
	attacked, tries := 0, 0
	for _, a := range attacks() {
		line, n := "", 0
		switch r, tried := b.rows[a.id]; {
		case tried && r == nil:
			continue
		case tried:
			line, n = r.String(), r.tries
		case a.is(before[a.id]):
			cells := before[a.id]
			if a.defence != "" { // what is said of kinds may have changed since
				cells[4] = a.stands()
			}
			line = "| " + strings.Join(cells, " | ") + " |"
			n, _ = strconv.Atoi(strings.ReplaceAll(before[a.id][2], ",", ""))
		default:
			continue
		}
		attacked, tries = attacked+1, tries+n
		fmt.Fprintln(&rows, line)
	}
	return fmt.Sprintf("%d attacks, %s tries, 0 accepted.\n\n", attacked, thousands(tries)) +
		"| | what is tried | tries | accepted | the defence that was taken out | accepted without it |\n|---|---|---|---|---|---|\n" + rows.String()
}

// is tells whether a row of the table is this attack's, with nothing accepted but where the defence was out.
func (a attack) is(cells []string) bool {
	if len(cells) != 6 {
		return false
	}
	defence, _, _ := strings.Cut(cells[4], beside)
	return cells[1] == a.what && cells[2] != "0" && cells[3] == "0" &&
		(a.defence == "" || defence == a.defence && !strings.HasPrefix(cells[5], "0 "))
}

// rows are the cells of a table, by attack.
func rows(table string) map[string][]string {
	all := map[string][]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) == 6 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all[cells[0]] = cells
		}
	}
	return all
}

// security is the file with the table, in three parts.
func security(t *testing.T) (path, before, table, after string) {
	t.Helper()
	root, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(root, "SECURITY.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(text), tableBegin+"\n")
	table, after, ended := strings.Cut(rest, tableEnd)
	if !begun || !ended {
		t.Fatalf("SECURITY.md has no place for the table: the lines %s and %s", tableBegin, tableEnd)
	}
	return path, before, table, after
}

// write puts the rows of a run into SECURITY.md.
func (b *board) write(t *testing.T) {
	t.Helper()
	path, before, table, after := security(t)
	if err := os.WriteFile(path, []byte(before+tableBegin+"\n"+b.table(rows(table))+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check holds that SECURITY.md has a row for each attack, as the attack is now.
func check(t *testing.T) {
	t.Helper()
	_, _, table, _ := security(t)
	all := rows(table)
	for _, a := range attacks() {
		if !a.is(all[a.id]) {
			t.Errorf("SECURITY.md has no row for %s as it is now: run make attack\n%q", a.id, all[a.id])
		}
	}
}
