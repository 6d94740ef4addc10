package modelwatch

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/dchest/siphash"
)

// RankBits is the width of a rank.
const RankBits = 56

// Salt keys the hash behind ranks: one per deployment, secret where clients
// choose request ids. Changing it changes every sampling decision.
type Salt [16]byte

// Rank places a request id uniformly in [0, 2^56): the upper 56 bits of
// SipHash-2-4 of its bytes. The same id has the same rank in every stream, on
// every replica and after every replay.
func Rank(salt Salt, id []byte) int64 {
	k0, k1 := salt.halves()
	return int64(siphash.Hash(k0, k1, id) >> (64 - RankBits))
}

func (s Salt) halves() (uint64, uint64) {
	return binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:])
}

// RankLimit turns a sampling rate into the limit under which a rank is kept.
// Rates outside (0, 1] are clamped: 0 keeps nothing, 1 everything.
func RankLimit(rate float64) int64 {
	switch {
	case !(rate > 0):
		return 0
	case rate >= 1:
		return 1 << RankBits
	}
	return int64(rate * (1 << RankBits))
}

// ParseSalt reads a salt: 16 bytes as they are, or as 32 hexadecimal digits.
func ParseSalt(text string) (Salt, error) {
	var s Salt
	switch len(text) {
	case len(s):
		copy(s[:], text)
		return s, nil
	case 2 * len(s):
		if _, err := hex.Decode(s[:], []byte(text)); err == nil {
			return s, nil
		}
	}
	return Salt{}, Errorf(CodeInvalid, "the salt has %d bytes: it must be 16 bytes, or 32 hexadecimal digits", len(text))
}

// String returns the salt as hexadecimal digits. It is a secret: do not log it.
func (s Salt) String() string { return hex.EncodeToString(s[:]) }
