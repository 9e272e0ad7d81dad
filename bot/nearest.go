package bot

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"elevate/workflows/access"
)

// nearest are the roles that somebody who typed a wrong name may have meant, the likeliest first.
func (b *Bot) nearest(ctx context.Context, p access.PersonID, name string) ([]access.RoleID, error) {
	tried := map[string]bool{}
	found := map[access.RoleID]int{}
	for _, w := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-_.", r) }) {
		runes := []rune(w)
		for _, n := range []int{len(runes), 3, 2} { // the whole word, or how it begins
			prefix := string(runes[:min(n, len(runes))])
			if tried[prefix] {
				continue
			}
			tried[prefix] = true
			offers, err := b.cfg.Service.Offers(ctx, p, prefix, 200)
			if err != nil {
				return nil, err
			}
			for _, o := range offers {
				id := string(o.Role.ID)
				switch {
				case !o.Eligible:
				case strings.HasPrefix(id, name):
					found[o.Role.ID] = 0
				default:
					found[o.Role.ID] = distance(name, id)
				}
			}
			if len(offers) > 0 {
				break
			}
		}
	}
	var near []access.RoleID
	for id, d := range found {
		if d <= max(2, len(name)/3) {
			near = append(near, id)
		}
	}
	slices.SortFunc(near, func(x, y access.RoleID) int {
		return cmp.Or(cmp.Compare(found[x], found[y]), cmp.Compare(x, y))
	})
	return near[:min(3, len(near))], nil
}

// distance counts the letters to change, add, drop or swap with their neighbour to make one word of another.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			change := rows[i-1][j-1]
			if x[i-1] != y[j-1] {
				change++
			}
			rows[i][j] = min(change, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}
