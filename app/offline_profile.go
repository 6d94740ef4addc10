package app

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
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
	text := binary.LittleEndian.AppendUint64([]byte(profileMagic), uint64(rows))
	text, err := set.AppendBinary(text)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o666); err != nil {
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
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read %s", input)
	}
	text = bytes.TrimPrefix(text, []byte(profileMagic))
	if len(text) < 8 {
		return nil, modelwatch.Errorf(modelwatch.CodeInvalid, "%s: the profile ends early", input)
	}
	set, err := profile.Decode(text[8:])
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s", input)
	}
	return &savedProfile{rows: int64(binary.LittleEndian.Uint64(text)), set: set}, nil
}
