package app

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/profile"
)

// profileMagic begins a file of a saved profile: text that no table begins with,
// then the number of rows in 8 bytes, little-endian, then the profile's own encoding.
const profileMagic = "modelwatch profile 1\n"

// savedProfile is a baseline's profile that was written to a file.
type savedProfile struct {
	rows int64
	set  *profile.Set
}

// saveProfile writes a baseline's profile, so that it may stand for the baseline's
// rows later.
func saveProfile(path string, set *profile.Set, rows int64) error {
	f, err := os.Create(path)
	if err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "save profile")
	}
	w := bufio.NewWriter(f)
	_, err = w.Write(binary.LittleEndian.AppendUint64([]byte(profileMagic), uint64(rows)))
	if err == nil {
		_, err = set.WriteTo(w)
	}
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return modelwatch.Wrap(modelwatch.CodeInvalid, err, "save profile")
	}
	return nil
}

// loadProfile reads a saved profile; nil if the input is something else.
func loadProfile(input string) (*savedProfile, error) {
	f, err := os.Open(input)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a glob, a bucket, or what opening it as a table has a message for
	}
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read table")
	}
	defer f.Close()
	in := bufio.NewReader(f)
	head, _ := in.Peek(len(profileMagic)) // what is shorter is no profile
	if string(head) != profileMagic {
		return nil, nil
	}
	var text bytes.Buffer
	if info, err := f.Stat(); err == nil {
		text.Grow(int(min(info.Size(), math.MaxInt32)) + bytes.MinRead) // else it would be copied as it grows
	}
	if _, err := text.ReadFrom(in); err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read %s", input)
	}
	encoded := text.Bytes()[len(profileMagic):]
	if len(encoded) < 8 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s: the profile ends early", input)
	}
	set, err := profile.Decode(encoded[8:])
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s", input)
	}
	return &savedProfile{rows: int64(binary.LittleEndian.Uint64(encoded)), set: set}, nil
}
