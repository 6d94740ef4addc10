package format

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/sr"
)

// headerSchemaID is the header of a record that names the schema of its value.
const headerSchemaID = "__value_schema_id"

// The bytes with which the name of a schema begins.
const (
	magicNumber = 0 // four bytes of a number, big-endian
	magicGUID   = 1 // sixteen bytes of a GUID
)

// schemaID names a schema of a registry: by a number that the registry has given
// it, or by a GUID, which is made of its content and is the same in all registries.
type schemaID struct {
	global bool // it is the GUID
	number int
	guid   [16]byte
}

// String is the number, or the GUID as registries write it (RFC 9562, section 4).
func (id schemaID) String() string {
	if !id.global {
		return strconv.Itoa(id.number)
	}
	g := id.guid
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
}

// framed is a value and what names its schema.
type framed struct {
	id schemaID
	// place begins with the place of a message of protobuf in the schema, and data
	// is the value where there is none. Before a value, both are what is behind the id.
	place, data []byte
	inHeader    bool
}

// unframe takes a value of one of the framings of Confluent's serializers apart, the
// classes SchemaId, HeaderSchemaIdSerializer and PrefixSchemaIdSerializer of
// io.confluent.kafka.serializers.schema.id. A name of a schema is
//
//	0, then a number of four bytes, or
//	1, then a GUID of sixteen,
//
// and of protobuf the place of the message follows. It is the header
// __value_schema_id, which goes first, or stands before the value.
func unframe(r *Record) (f framed, fail *Failure) {
	name, inHeader := r.last(headerSchemaID)
	if !inHeader {
		name = r.Value
	}
	switch {
	case len(name) >= 5 && name[0] == magicNumber:
		f.id.number, f.place = int(binary.BigEndian.Uint32(name[1:5])), name[5:]
	case len(name) >= 17 && name[0] == magicGUID:
		f.id.global, f.place = true, name[17:]
		copy(f.id.guid[:], name[1:17])
	case inHeader:
		return f, invalid("the header %s has %s; it must be 1 and a GUID of 16 bytes, or 0 and an id of 4", headerSchemaID, plural(len(name), "byte"))
	default:
		return f, invalid("the value does not begin with the id of a schema, a zero byte and four more, and there is no header %s", headerSchemaID)
	}
	f.data = f.place
	if f.inHeader = inHeader; inHeader {
		f.data = r.Value
	}
	return f, nil
}

// message is the place of a message of protobuf and its bytes: how many steps there
// are, and the index at each, as numbers of variable length, zigzag; a lone zero is
// the first message.
func (f *framed) message() (place []int, data []byte, fail *Failure) {
	place, rest, err := new(sr.ConfluentHeader).DecodeIndex(f.place, maxDepth)
	switch {
	case err != nil:
		return nil, nil, invalid("behind the id of the schema there is no place of a message")
	case f.inHeader:
		return place, f.data, nil
	}
	return place, rest, nil
}
