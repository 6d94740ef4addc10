package app

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

// readYAML reads a file of the user's. The parser panics on some texts that are no
// YAML, for example on a tag without a value: that is an error like any other.
func readYAML(text []byte, into any) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("it is no YAML: there may be a tag (!), an anchor (&) or an alias (*) without a value: %v", cause)
		}
	}()
	return yaml.UnmarshalWithOptions(text, into, yaml.Strict())
}
