package format

// Registry is where schemas come from.
type Registry struct{}
