package api

import "github.com/modelwatch/modelwatch"

type (
	// Page is the domain's, because the catalog speaks it too; so are the filters.
	Page = modelwatch.Page
	// RunFilter is the domain's.
	RunFilter = modelwatch.RunFilter
	// MeasurementFilter is the domain's.
	MeasurementFilter = modelwatch.MeasurementFilter
	// DeadLetterFilter is the domain's.
	DeadLetterFilter = modelwatch.DeadLetterFilter
)
