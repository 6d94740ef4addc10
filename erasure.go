package modelwatch

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ErasureState is how far an erasure has come.
type ErasureState string

// The states of an erasure.
const (
	ErasureQueued ErasureState = "queued" // some files may still hold the rows
	ErasureErased ErasureState = "erased" // no reader sees the rows, the replaced objects still exist
	ErasureDone   ErasureState = "done"   // the objects are deleted
)

// Erasure is the order to erase the rows of some request ids of a model. It
// stands: rows of these ids that come later are erased as well.
type Erasure struct {
	ID          int64
	Model       string
	State       ErasureState
	DryRun      bool // only counts, and stands for nothing
	IDs         int64
	Files       int64 // that held such rows
	Rows        int64
	DeadLetters int64
	CreatedAt   time.Time
	ErasedAt    time.Time
	FinishedAt  time.Time
}

// Tombstone stands for a request id that is to be erased. The id itself is not kept.
type Tombstone struct {
	Erasure int64
	Model   string
	Rank    int64
	Digest  string
}

// NewTombstones makes those of a request id: one of the id, and where a deployment
// has a key, one of its pseudonym, which stands in rows and dead letters of models
// whose ids are hashed. Both, because an erasure outlasts such a rule: rows may be
// from before it, and late ones may come after it has changed.
func NewTombstones(salt Salt, key PrivacyKey, model, id string) []Tombstone {
	names := []string{id}
	if len(key) > 0 {
		names = append(names, key.Pseudonym(id))
	}
	stones := make([]Tombstone, len(names))
	for i, name := range names {
		stones[i] = Tombstone{Model: model, Rank: Rank(salt, []byte(name)), Digest: EraseDigest(salt, name)}
	}
	return stones
}

// EraseDigest is by what an erased id is known again: SHA-256 of the salt and the
// id, cut to 128 bits, in lower-case hex.
func EraseDigest(salt Salt, id string) string {
	h := sha256.New()
	h.Write(salt[:])
	h.Write([]byte(id))
	return hex.EncodeToString(h.Sum(nil)[:16])
}
