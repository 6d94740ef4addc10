package catalog

import "github.com/modelwatch/modelwatch"

// The limits of a page: what a zero Limit means, and the most that one call returns.
const (
	DefaultPageLimit = 100
	MaximumPageLimit = 10_000
)

// The filters are the domain's, because the API and the scheduler speak them too.
type (
	// Page asks for a part of a list. A cursor that no list of its kind has given
	// out is CodeInvalid.
	Page = modelwatch.Page
	// RunFilter selects runs.
	RunFilter = modelwatch.RunFilter
	// MeasurementFilter selects measurements. Unless its Run is set, only the
	// newest revision of each window is returned.
	MeasurementFilter = modelwatch.MeasurementFilter
	// DataFileFilter selects data files.
	DataFileFilter = modelwatch.DataFileFilter
	// DeadLetterFilter selects dead letters.
	DeadLetterFilter = modelwatch.DeadLetterFilter
)
