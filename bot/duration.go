package bot

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// unit is a unit of time with the words that people write for it.
type unit struct {
	length time.Duration
	words  string
}

// units are listed from long to short; a duration names each at most once, in this order.
var units = []unit{
	{7 * 24 * time.Hour, "w wk week weeks"},
	{24 * time.Hour, "d day days"},
	{time.Hour, "h hr hrs hour hours"},
	{time.Minute, "m min mins minute minutes"},
	{time.Second, "s sec secs second seconds"},
}

// piece is a number and its unit at the start of a text.
var piece = regexp.MustCompile(`^([0-9]{1,6}(?:[.,][0-9]{1,2})?)([a-z]+)`)

var number = regexp.MustCompile(`^[0-9]{1,6}(?:[.,][0-9]{1,2})?$`)

// longest is what anything longer is taken for; no policy allows it.
const longest = 10 * 365 * 24 * time.Hour

// ParseDuration reads a length of time as people write it: 90m, 1h30m, 1.5h, 2 hours, 1d. It is false for everything
// else, for no time at all, and for a bare number. Lengths are whole seconds.
func ParseDuration(text string) (time.Duration, bool) {
	d, rest, ok := leadingDuration(text)
	return d, ok && rest == "" && d > 0
}

// leadingDuration reads a length of time from the front of a text, and gives what follows it.
func leadingDuration(text string) (total time.Duration, rest string, ok bool) {
	shortest := -1 // index of the last unit used
	for {
		first, after := word(text)
		w := simple(first)
		if number.MatchString(w) { // "2 hours"
			second, later := word(after)
			if unitOf(simple(second)) < 0 {
				return total, text, ok
			}
			w, after = w+simple(second), later
		}
		d, last, good := wholeDuration(w, shortest)
		if !good {
			return total, text, ok
		}
		total, text, shortest, ok = min(total+d, longest), after, last, true
	}
}

// wholeDuration reads a word such as 1h30m, all of it, whose units are shorter than the one at index longer.
func wholeDuration(w string, longer int) (total time.Duration, last int, ok bool) {
	last = longer
	for w != "" {
		m := piece.FindStringSubmatch(w)
		if m == nil {
			return 0, longer, false
		}
		u := unitOf(m[2])
		if u <= last {
			return 0, longer, false
		}
		n, err := strconv.ParseFloat(strings.Replace(m[1], ",", ".", 1), 64)
		if err != nil {
			return 0, longer, false
		}
		total += time.Duration(min(n*float64(units[u].length), float64(longest))).Round(time.Second)
		w, last, ok = w[len(m[0]):], u, true
	}
	return min(total, longest), last, ok
}

// unitOf is the index of the unit that a word names; -1 where it names none.
func unitOf(w string) int {
	for i, u := range units {
		for _, name := range strings.Fields(u.words) {
			if w == name {
				return i
			}
		}
	}
	return -1
}

// HowLong says a length of time as cards do, for pages that speak of the same.
func HowLong(d time.Duration) string { return howLong(d) }

// howLong says a length of time: "1 hour 30 minutes". Two units are enough for anybody.
func howLong(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	d = d.Round(time.Second)
	var said []string
	for _, u := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}} {
		if n := int(d / u.length); n > 0 && len(said) < 2 {
			said = append(said, count(n, u.name))
			d -= time.Duration(n) * u.length
		} else if len(said) > 0 {
			break // "2 days" and not "2 days 3 seconds"
		}
	}
	return strings.Join(said, " ")
}

// typed is a duration as the grammar takes it back: 1h30m.
func typed(d time.Duration) string {
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// after says how long after its due time something was done.
func after(d time.Duration) string {
	if d < 50*time.Millisecond {
		return "on time"
	}
	return exactly(d) + " after it was due"
}

// within says how long something took that somebody asked for.
func within(d time.Duration) string {
	if d < 50*time.Millisecond {
		return "at once"
	}
	return "within " + exactly(d)
}

// exactly is howLong, with a tenth of a second where that is much.
func exactly(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return howLong(d)
}

// count says how many: "1 hour", "2 hours".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
