package attack_test

import (
	"fmt"
	"os"
	"path/filepath"
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

// board collects the rows of a run.
type board struct {
	mu   sync.Mutex
	rows map[string]row
}

func (b *board) note(id string, r row) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rows[id] = r
}

func (r row) String() string {
	defence, mutant := r.defence, r.mutant
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

func (b *board) table() string {
	var out strings.Builder
	tries := 0
	for _, r := range b.rows {
		tries += r.tries
	}
	fmt.Fprintf(&out, "%d attacks, %s tries, 0 accepted.\n\n", len(b.rows), thousands(tries))
	out.WriteString("| | what is tried | tries | accepted | the defence that was taken out | accepted without it |\n|---|---|---|---|---|---|\n")
	for _, a := range attacks() {
		fmt.Fprintln(&out, b.rows[a.id])
	}
	return out.String()
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

// write puts the table of a whole run into SECURITY.md.
func (b *board) write(t *testing.T) {
	t.Helper()
	if len(b.rows) != len(attacks()) {
		t.Log("not all attacks were tried, so the table is left as it is")
		return
	}
	path, before, _, after := security(t)
	if err := os.WriteFile(path, []byte(before+tableBegin+"\n"+b.table()+tableEnd+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check holds that the table has a row for each attack, and says of each that nothing was accepted but where the defence
// was out.
func (b *board) check(t *testing.T) {
	t.Helper()
	_, _, table, _ := security(t)
	rows := map[string][]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) == 6 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows[cells[0]] = cells
		}
	}
	for _, a := range attacks() {
		r := rows[a.id]
		switch {
		case r == nil:
			t.Errorf("SECURITY.md has no row for %s: run make attack", a.id)
		case r[1] != a.what, r[3] != "0", a.defence != "" && (r[4] != a.defence || strings.HasPrefix(r[5], "0 ")):
			t.Errorf("the row for %s in SECURITY.md is not what the attack is: run make attack\n%s", a.id, strings.Join(r, " | "))
		}
	}
}
