package api

import "github.com/modelwatch/modelwatch"

// The filters are the domain's, because the catalog speaks them too.
type (
	Page              = modelwatch.Page
	RunFilter         = modelwatch.RunFilter
	MeasurementFilter = modelwatch.MeasurementFilter
	DeadLetterFilter  = modelwatch.DeadLetterFilter
)
