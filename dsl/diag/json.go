package diag

import (
	"encoding/json"
	"fmt"
)

// MarshalJSON writes the severity as its word.
func (s Severity) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Severity) UnmarshalJSON(b []byte) error {
	var word string
	if err := json.Unmarshal(b, &word); err != nil {
		return err
	}
	for *s = Error; *s <= Info; *s++ {
		if s.String() == word {
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", word)
}

// MarshalList gives the diagnostics as a JSON array, never null.
func MarshalList(list List) ([]byte, error) {
	if list == nil {
		list = List{}
	}
	return json.Marshal(list)
}

// UnmarshalList reads what MarshalList writes.
func UnmarshalList(b []byte) (List, error) {
	var list List
	err := json.Unmarshal(b, &list)
	return list, err
}
