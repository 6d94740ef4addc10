package datadogtest

import (
	"net/http/httptest"
	"testing"
)

// Server is an Intake that listens on a free port of the loopback interface.
type Server struct {
	*Intake
	URL string
}

// Start serves an intake until the test ends.
func Start(t testing.TB, opts Options) *Server {
	t.Helper()
	in := NewIntake(opts)
	srv := httptest.NewServer(in)
	t.Cleanup(func() {
		in.Close()
		srv.CloseClientConnections()
		srv.Close()
	})
	return &Server{Intake: in, URL: srv.URL}
}
