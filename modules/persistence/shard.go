package persistence

import "sync"

// shard is a part of a table: an index, and the entries in the order of their
// last use, in a list through a slice. The slice grows to the shard's size and
// no further.
type shard struct {
	mu      sync.Mutex
	size    int
	index   map[string]int32
	entries []entry
	free    int32 // list of unused entries, through next
	head    int32 // used last
	tail    int32 // not used for the longest time
}

type entry struct {
	key, server string
	used        int64 // flow.Now
	prev, next  int32
}

const none = -1

func (s *shard) limit(size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.index == nil {
		s.index = map[string]int32{}
		s.free, s.head, s.tail = none, none, none
	}
	s.size = size
	for len(s.index) > size {
		s.drop(s.tail)
	}
}

func (s *shard) get(key []byte, now, expire int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.index[string(key)]
	if !ok {
		return ""
	}
	e := &s.entries[i]
	if expire > 0 && now-e.used > expire {
		s.drop(i)
		return ""
	}
	e.used = now
	s.touch(i)
	return e.server
}

// expire drops a few of those that were not used for too long: one more than a
// Put adds, so that a table in use keeps itself clean.
func (s *shard) expire(now, expire int64) {
	if expire <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := 0; n < 2 && s.tail != none && now-s.entries[s.tail].used > expire; n++ {
		s.drop(s.tail)
	}
}

func (s *shard) put(key []byte, server string, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := s.index[string(key)]; ok {
		e := &s.entries[i]
		e.server, e.used = server, now
		s.touch(i)
		return
	}
	if len(s.index) >= s.size {
		s.drop(s.tail)
	}
	i := s.free
	if i == none {
		i = int32(len(s.entries))
		s.entries = append(s.entries, entry{})
	} else {
		s.free = s.entries[i].next
	}
	s.entries[i] = entry{key: string(key), server: server, used: now}
	s.index[s.entries[i].key] = i
	s.push(i)
}

// touch moves an entry to the front.
func (s *shard) touch(i int32) {
	if s.head == i {
		return
	}
	s.unlink(i)
	s.push(i)
}

func (s *shard) push(i int32) {
	e := &s.entries[i]
	e.prev, e.next = none, s.head
	if s.head != none {
		s.entries[s.head].prev = i
	}
	s.head = i
	if s.tail == none {
		s.tail = i
	}
}

func (s *shard) unlink(i int32) {
	e := &s.entries[i]
	if e.prev == none {
		s.head = e.next
	} else {
		s.entries[e.prev].next = e.next
	}
	if e.next == none {
		s.tail = e.prev
	} else {
		s.entries[e.next].prev = e.prev
	}
}

func (s *shard) drop(i int32) {
	s.unlink(i)
	e := &s.entries[i]
	delete(s.index, e.key)
	*e = entry{next: s.free}
	s.free = i
}

// each walks the entries, the one that was not used for the longest time first.
func (s *shard) each(visit func(*entry)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := s.tail; i != none; i = s.entries[i].prev {
		visit(&s.entries[i])
	}
}
