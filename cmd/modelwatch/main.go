// Command modelwatch watches machine-learning models in production: it samples
// what goes in and comes out from Kafka, compares every window with the
// training baseline and with late ground truth, and forwards the results.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/app"
)

// Exit codes, fixed by the contract.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitBreached = 3
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run is main with its surroundings as parameters; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	var cli commandLine
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("modelwatch"),
		kong.Description("Watches machine-learning models in production: drift against the training baseline, backtests against late labels, results to Datadog."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(app.Streams{Out: stdout, Err: stderr}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "modelwatch:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "modelwatch: %v\n", err)
		fmt.Fprintln(stderr, `Run "modelwatch --help", or "modelwatch COMMAND --help", for what there is.`)
		return exitUsage
	}
	return exitCode(command.Run(), stderr)
}

// exitCode prints an error, if there is one, and says what it means to a script.
func exitCode(err error, stderr io.Writer) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, app.ErrBreached):
		fmt.Fprintln(stderr, "modelwatch:", err)
		return exitBreached
	}
	fmt.Fprintln(stderr, "modelwatch:", err)
	if modelwatch.ErrorCode(err) == modelwatch.CodeInvalid {
		return exitUsage
	}
	return exitFailed
}
