package catalog

import (
	"encoding/base64"
	"encoding/json"

	"github.com/modelwatch/modelwatch"
)

// size is how many items the page holds at most.
func pageSize(p Page) int {
	if p.Limit <= 0 {
		return DefaultPageLimit
	}
	return min(p.Limit, MaximumPageLimit)
}

// key is where a page ends: the sort key of its last item. Lists are continued
// after it, so that rows which come and go do not shift the pages.
type key struct {
	List string `json:"l"`           // which list: a cursor of another is refused
	Time int64  `json:"t,omitempty"` // microseconds
	ID   int64  `json:"i,omitempty"`
	Text string `json:"s,omitempty"`
	More string `json:"m,omitempty"`
}

// after decodes the page's cursor; ok is false for the first page.
func startAfter(p Page, list string) (k key, ok bool, err error) {
	if p.Cursor == "" {
		return key{}, false, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err == nil {
		err = json.Unmarshal(text, &k)
	}
	if err != nil || k.List != list {
		return key{}, false, modelwatch.Errorf(modelwatch.CodeInvalid,
			"the cursor %.80q does not come from a list of %s: pass next_cursor as it was returned, or leave it out", p.Cursor, list)
	}
	k.Text, k.More = clean(k.Text), clean(k.More)
	return k, true, nil
}

func (k key) cursor() (string, error) {
	text, err := json.Marshal(k)
	return base64.RawURLEncoding.EncodeToString(text), err
}

// cut splits what a query with a limit of one more than the page returned.
func cut[T any](items []T, p Page, last func(T) key) ([]T, string, error) {
	if len(items) <= pageSize(p) {
		return items, "", nil
	}
	items = items[:pageSize(p)]
	next, err := last(items[len(items)-1]).cursor()
	return items, next, err
}
