package app

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"golang.org/x/term"
)

// Streams are where results and everything else go.
type Streams struct {
	Out io.Writer // results
	Err io.Writer // progress, logs, hints
}

// terminalWidth returns the width of w if it is a terminal.
func terminalWidth(w io.Writer) (int, bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 0, false
	}
	return width, true
}

// newLogger makes the logger of a process.
func newLogger(w io.Writer, format string, level slog.Level) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// Version is set by the linker; a build without it shows what the module system knows.
var Version = "" //nolint:gochecknoglobals // written by -ldflags -X, read only

// PrintVersion prints the version, the Go version and the commit.
func PrintVersion(s Streams) error {
	_, err := fmt.Fprintln(s.Out, "modelwatch "+versionText())
	return err
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return orText(Version, "unknown")
	}
	version, revision := orText(Version, info.Main.Version), ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = ", commit " + s.Value
		}
	}
	return fmt.Sprintf("%s (%s%s)", orText(version, "devel"), info.GoVersion, revision)
}

func orText(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
