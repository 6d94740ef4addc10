// Package app wires the parts of modelwatch together and runs them: the
// service with its roles, the development mode with everything in one process,
// and the commands that work on files.
package app
