package ingest

// nameSet finds duplicates among the unknown names of one object. A few are
// compared one by one; more go into a map.
type nameSet struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// reset empties the set. A map that has become large is let go: emptying it would
// cost every later event what one has caused.
func (s *nameSet) reset() {
	s.n = 0
	if len(s.many) > 256 {
		s.many = nil
	}
	if len(s.many) > 0 {
		clear(s.many)
	}
}

// add returns false if the name is there already.
func (s *nameSet) add(name []byte) bool {
	for _, f := range s.few[:min(s.n, len(s.few))] {
		if string(f) == string(name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
	}
	if _, ok := s.many[string(name)]; ok {
		return false
	}
	s.many[string(name)] = struct{}{}
	return true
}
