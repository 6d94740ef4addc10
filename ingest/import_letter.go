package ingest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/modelwatch/modelwatch"
)

// maxImportLetterBytes bounds what is kept of the lines of one file that cannot be
// placed; maxDeadLetters bounds their number. The others are counted only.
const maxImportLetterBytes = 64 << 20

// importLetters are the dead letters of one import.
type importLetters struct {
	topic string
	id    [16]byte
	list  []modelwatch.DeadLetter
	bytes int64
	full  bool
}

// newImportLetters makes the letters of a file unmistakable by its commit: the same
// content, imported as another version, is another file.
func newImportLetters(commit, name string) importLetters {
	sum := sha256.Sum256([]byte(commit))
	return importLetters{topic: ImportTopic + name, id: [16]byte(sum[:])}
}

// keep adds letters while there is room.
func (l *importLetters) keep(letters ...modelwatch.DeadLetter) {
	for _, d := range letters {
		l.bytes += letterBytes(&d)
		if l.full = l.full || len(l.list) >= maxDeadLetters || l.bytes > maxImportLetterBytes; l.full {
			return
		}
		d.Topic, d.TopicID = l.topic, l.id
		l.list = append(l.list, d)
	}
}

// write puts the large ones into the archive, under a key that no other attempt has.
func (l *importLetters) write(ctx context.Context, ledger ImportLedger, archive Archive, owner, unique string, now time.Time) error {
	key, body := packLetters(l.list, unique, now)
	if key == "" {
		return nil
	}
	if err := ledger.IntendUpload(ctx, []string{key}, owner); err != nil {
		return err
	}
	return archive.WriteDeadLetters(ctx, key, body)
}

// rowLetter tells of a row of a table that cannot be placed. Its values are not
// kept: the user has the table.
func rowLetter(model string, row int64, reason modelwatch.DeadLetterReason, now time.Time) modelwatch.DeadLetter {
	why := map[modelwatch.DeadLetterReason]string{
		modelwatch.DeadNoID:          fmt.Sprintf("the id is missing or longer than %d bytes", maxIDBytes),
		modelwatch.DeadInvalidTime:   "the time is missing, or is none",
		modelwatch.DeadTimeOutOfSpan: "the time is before " + earliest.Format(time.DateOnly) + " or more than " + modelwatch.FormatDuration(maxAhead) + " ahead",
	}[reason]
	return modelwatch.DeadLetter{Offset: row, Reason: reason, Detail: fmt.Sprintf("row %d: %s", row, why), Model: model, CreatedAt: now.UTC()}
}
