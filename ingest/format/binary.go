package format

import (
	"bytes"
	"strconv"
)

// The binary tensor data extension of the Open Inference Protocol (V2): a tensor
// whose parameters have binary_data_size has its data as bytes behind the JSON, one
// tensor after the other, little-endian and in row-major order. How long the JSON is
// stands in the HTTP header Inference-Header-Content-Length. KServe's logger does
// not hand it on, but the sizes add up to what is behind the JSON.

// The names under which the length of the JSON may come: the header's, and what
// is left of it as the name of an attribute of a CloudEvent.
const (
	lengthHeader    = "inference-header-content-length"
	lengthAttribute = "inferenceheadercontentlength"
)

// splitBody takes a body apart into its JSON and the bytes behind it, which are
// those of the tensors of the list of that name. length is the header's value, ""
// if there is none.
func splitBody(body []byte, length, list string) (v Value, behind []byte, fail *Failure) {
	if len(body) == 0 {
		return nil, nil, noData()
	}
	text := body
	if length != "" {
		n, err := strconv.Atoi(length)
		switch {
		case err != nil || n < 0 || n > len(body):
			return nil, nil, invalid("Inference-Header-Content-Length is %q, of a body of %s", shorten(length), plural(len(body), "byte"))
		case n == 0:
			return nil, nil, invalid("Inference-Header-Content-Length is 0: a body without JSON does not say names, shapes and datatypes; let clients send them")
		}
		text = body[:n]
	}
	v, end, fail := parseFirst(text)
	if fail != nil {
		return nil, nil, fail
	}
	if string(v) == "null" {
		return nil, nil, noData()
	}
	size, fail := binarySize(v, list)
	if fail != nil {
		return nil, nil, fail
	}
	if length != "" || size == 0 {
		if fail := nothingBehind(text, end); fail != nil {
			return nil, nil, fail
		}
		end = len(text) // space is part of the JSON
	}
	if tail := len(body) - size; tail < end || len(bytes.TrimSpace(body[end:tail])) > 0 {
		return nil, nil, invalid("%s behind the JSON, where the tensors' binary_data_size add up to %d", plural(len(body)-end, "byte"), size)
	}
	return v, body[len(body)-size:], nil
}

// binarySize is how many bytes the tensors of a list have behind the JSON.
func binarySize(body Value, list string) (sum int, fail *Failure) {
	if !bytes.Contains(body, []byte("binary_data_size")) {
		return 0, nil
	}
	all := find(members(body), list)
	if !isTensors(all) {
		return 0, nil
	}
	for _, one := range elements(all) {
		n, _, fail := sizeBehind(members(one))
		if fail != nil {
			return 0, fail
		}
		sum = min(sum+n, 1<<40)
	}
	return sum, nil
}

// sizeBehind is how many bytes a tensor has behind the JSON; ok is false if it has
// its data in it.
func sizeBehind(tensor []Member) (n int, ok bool, fail *Failure) {
	size := find(members(find(tensor, "parameters")), "binary_data_size")
	if size == nil {
		return 0, false, nil
	}
	if find(tensor, "data") != nil {
		return 0, false, invalid("tensor %q has data, and binary_data_size besides", shorten(text(find(tensor, "name"))))
	}
	parsed, err := strconv.ParseUint(string(size), 10, 31)
	if err != nil {
		return 0, false, invalid("tensor %q has binary_data_size %s; it must be a number of bytes", shorten(text(find(tensor, "name"))), shorten(string(size)))
	}
	return int(parsed), true, nil
}

// binaryTensor is jsonTensor for a tensor that may have its data at the beginning of
// what is behind the JSON; it returns what is left.
func binaryTensor(all []Member, behind []byte) (t tensor, left []byte, fail *Failure) {
	t = jsonTensor(all, "shape", "data")
	n, ok, fail := sizeBehind(all)
	switch {
	case fail != nil || !ok:
		return t, behind, fail
	case n > len(behind):
		return t, nil, invalid("tensor %q has binary_data_size %d, and %s are left", shorten(t.name), n, plural(len(behind), "byte"))
	}
	t.values, fail = rawValues(text(find(all, "datatype")), behind[:n])
	fail = t.failed(fail)
	return t, behind[n:], fail
}
