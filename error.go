package modelwatch

import (
	"errors"
	"fmt"
)

// Code classifies an error by what its reader can do about it. One map in
// package api turns codes into HTTP statuses, one in cmd into exit codes.
type Code string

// The closed list of error codes.
const (
	CodeInternal    Code = "internal"    // a fault of ours or of a library
	CodeInvalid     Code = "invalid"     // the input is wrong; Message says where and how to mend it
	CodeNotFound    Code = "not_found"   // the named thing does not exist
	CodeConflict    Code = "conflict"    // it exists already, or has changed meanwhile
	CodeFenced      Code = "fenced"      // another owner has taken over; drop what you hold
	CodeUnavailable Code = "unavailable" // a dependency does not answer; retrying may help
)

// FieldError is one thing wrong at one place of an input.
type FieldError struct {
	Location string // a path such as "body.thresholds[1].metric", or "line 3, column amount"
	Message  string // what is wrong, and what would be right
	Value    any    // the offending value, nil if there is none
}

// Error is the domain's error. Message is for the user and stands alone; Err
// is the cause, for logs. Fields name the places when there are several.
type Error struct {
	Code    Code
	Message string
	Fields  []FieldError
	Err     error
}

func (e *Error) Error() string {
	msg := e.Message
	for i, f := range e.Fields {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		msg += sep + f.Location + ": " + f.Message
	}
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", msg, e.Err)
	}
	return msg
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap makes an Error around a cause: its text is the message, a colon and the cause's.
func Wrap(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// ErrorCode returns the code of the first Error in err's chain, CodeInternal
// for any other error, and "" for nil.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
