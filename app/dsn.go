package app

import (
	"log/slog"
	"net/url"
	"regexp"
)

var keywordPassword = regexp.MustCompile(`(password=)('[^']*'|\S+)`)

// redactDSN hides the password of a database address.
func redactDSN(dsn string) string {
	if u, err := url.Parse(dsn); err == nil && u.User != nil {
		return u.Redacted()
	}
	return keywordPassword.ReplaceAllString(dsn, "${1}xxxxx")
}

func discardLog() *slog.Logger { return slog.New(slog.DiscardHandler) }
