package archive_test

import (
	"testing"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/archive"
)

func TestDeadLetterParts(t *testing.T) {
	t.Parallel()
	bucket, err := archive.OpenBucket(t.Context(), archive.BucketConfig{URI: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	a := archive.New(bucket, archive.Options{})
	const key = modelwatch.DeadLetterPrefix + "date=2026-11-21/c.bin"
	for range 2 { // the answer to the first was lost
		if err := a.WriteDeadLetters(t.Context(), key, []byte("onetwo")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.WriteDeadLetters(t.Context(), key, []byte("other")); modelwatch.ErrorCode(err) != modelwatch.CodeConflict {
		t.Errorf("overwriting: %v", err)
	}
	for _, tt := range []struct {
		part modelwatch.ObjectPart
		want string
		code modelwatch.Code
	}{
		{modelwatch.ObjectPart{Key: key, Length: 3}, "one", ""},
		{modelwatch.ObjectPart{Key: key, Offset: 3, Length: 3}, "two", ""},
		{modelwatch.ObjectPart{Key: key, Offset: 6}, "", ""},
		{modelwatch.ObjectPart{Key: key, Offset: 4, Length: 3}, "", modelwatch.CodeInternal},
		{modelwatch.ObjectPart{Key: key, Offset: -1, Length: 3}, "", modelwatch.CodeInternal},
		{modelwatch.ObjectPart{Key: key + "x", Length: 3}, "", modelwatch.CodeNotFound},
	} {
		got, err := a.ReadPart(t.Context(), tt.part)
		if string(got) != tt.want || modelwatch.ErrorCode(err) != tt.code {
			t.Errorf("%+v: %q, %v", tt.part, got, err)
		}
	}
}
