package redis

import "elevate/workflows/access"

// KnowFactors has the store know what Config.Factors would have told it, where that became known later: of what it knows
// already it keeps the newer.
func (s *Store) KnowFactors(known map[access.PersonID]Known) {
	s.factors.mu.Lock()
	defer s.factors.mu.Unlock()
	for p, k := range known {
		if name := factorName(p); k.Version > s.factors.known[name].Version {
			s.factors.known[name] = k
		}
	}
}
