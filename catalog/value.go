package catalog

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// micros is a time as the tables hold it: microseconds UTC, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros, to the microsecond.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// timeColumn scans microseconds into a time.
type timeColumn struct{ t *time.Time }

func (c timeColumn) Scan(src any) error {
	us, ok := src.(int64)
	if !ok {
		return fmt.Errorf("scan time: %T is not a number of microseconds", src)
	}
	*c.t = fromMicros(us)
	return nil
}

// jsonColumn scans JSON text into a value.
type jsonColumn struct{ v any }

func (c jsonColumn) Scan(src any) error {
	switch text := src.(type) {
	case string:
		return json.Unmarshal([]byte(text), c.v)
	case []byte:
		return json.Unmarshal(text, c.v)
	}
	return fmt.Errorf("scan JSON: %T is not text", src)
}

// jsonText encodes a value; maps come sorted, so equal values are equal text.
func jsonText(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

// flag is a boolean as the tables hold it.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// clean makes a string that any database stores: PostgreSQL refuses NUL and
// bytes that are not UTF-8, and one such byte in a record must not stop the
// partition that it came from.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
