package teams

import (
	"encoding/json"
	"unicode/utf8"

	"elevate/workflows/access"
)

// maxCard keeps a card below 60 kilobytes as Teams counts, which is UTF-16: a message may have 80 and carries more than
// its card, such as the people who are shown it anew.
const maxCard = 30_000

// sheet is a card that is being made, within a number of UTF-16 characters.
type sheet struct {
	renderer
	people
	body      []object
	listed    int // entities whose mentions stand on the card
	left      int
	divide    bool // a line goes above what comes next
	shortened bool
}

func (r renderer) sheet() *sheet {
	s := &sheet{renderer: r, left: maxCard, people: people{called: map[access.PersonID]bool{}, names: map[string]bool{}}}
	s.reserve(append(shortened(), (&sheet{}).finish()))
	return s
}

// shortened is the line that stands for what was left out.
func shortened() []object {
	return []object{markdown("Shortened: Teams cannot show all of it. Use Details or the commands of Elevate to see the rest.", look{small: true})}
}

// dividing is how long a line above a block is.
const dividing = len(`"separator":true,"spacing":"large",`)

// reserve keeps room for blocks that are added later with addReserved; false where there is none.
func (s *sheet) reserve(blocks []object) bool {
	size := length(blocks) + dividing
	if size > s.left {
		return false
	}
	s.left -= size
	return true
}

func (s *sheet) addReserved(blocks []object) { s.put(blocks) }

// add takes blocks that belong together, with their mentions, or none of them where they no longer fit; nothing is added
// after a gap.
func (s *sheet) add(blocks []object) {
	size := length(blocks) + length(s.entities[s.listed:]) + dividing
	if len(blocks) == 0 || s.shortened || size > s.left {
		s.shortened = s.shortened || len(blocks) > 0
		s.entities = s.entities[:s.listed]
		return
	}
	s.left -= size
	s.listed = len(s.entities)
	s.put(blocks)
}

func (s *sheet) put(blocks []object) {
	if len(blocks) > 0 && s.divide {
		blocks[0]["separator"], s.divide = true, false
		spaced("large", blocks)
	}
	s.body = append(s.body, blocks...)
}

// finish gives the card.
func (s *sheet) finish() object {
	if s.shortened {
		s.body = append(s.body, shortened()...)
	}
	if len(s.body) == 0 {
		s.body = []object{markdown("–", look{})} // Teams takes no empty card
	}
	teams := object{"width": "Full"}
	if len(s.entities) > 0 {
		teams["entities"] = s.entities
	}
	return object{
		"type": "AdaptiveCard", "version": "1.5", "body": s.body, "msteams": teams,
		"fallbackText": "This version of Teams cannot show what Elevate says. Update it, or use Teams in a browser.",
	}
}

// length is how many UTF-16 characters a value has as JSON, with everything escaped that may be.
func length(v any) int {
	raw, err := json.Marshal(v)
	if err != nil {
		return maxCard + 1 // cannot happen with these types; better left out than refused
	}
	total := 0
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if raw = raw[size:]; r > 0xffff {
			total++
		}
		total++
	}
	return total
}
