package catalog

import "github.com/modelwatch/modelwatch"

// The limits of a page: what a zero Limit means, and the most that one call returns.
const (
	DefaultPageLimit = 100
	MaximumPageLimit = 10_000
)

// The filters are the domain's, because the API and the scheduler speak them too.
//
// Unless MeasurementFilter.Run is set, only the newest revision of each window
// is returned. A cursor that no list of its kind has given out is CodeInvalid.
type (
	Page              = modelwatch.Page
	RunFilter         = modelwatch.RunFilter
	MeasurementFilter = modelwatch.MeasurementFilter
	DataFileFilter    = modelwatch.DataFileFilter
	DeadLetterFilter  = modelwatch.DeadLetterFilter
)
