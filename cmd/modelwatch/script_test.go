package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/modelwatch/modelwatch/internal/testserver"
	"github.com/modelwatch/modelwatch/table"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"modelwatch": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs testdata/script/*.txtar against the command line. With
// UPDATE_SCRIPTS=1 in the environment golden files are written anew: read the
// difference.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireUniqueNames:  true,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			e.Setenv("TMPDIR", e.WorkDir) // what is spooled must be gone afterwards: see "clean"
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   exits,
			"rows":    writeRows,
			"parquet": writeParquet,
			"pack":    pack,
			"cut":     cut,
			"result":  checkResult,
			"clean":   checkClean,
			"bucket":  func(ts *testscript.TestScript, _ bool, args []string) { fillBucket(t, ts, args) },
		},
	})
}

// exits runs a command and wants an exit code: exits 3 modelwatch drift ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("run %s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// writeRows writes made rows of a credit model, as CSV or as JSON lines by the
// file's name: rows FILE COUNT SHIFT. Amounts lie on a grid of 0 to 999 plus
// SHIFT, and the larger the shift, the more of the rows come from PL.
func writeRows(ts *testscript.TestScript, _ bool, args []string) {
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	shift, err := strconv.Atoi(args[2])
	ts.Check(err)
	var b strings.Builder
	asJSON := strings.HasSuffix(args[0], ".jsonl")
	if !asJSON {
		b.WriteString("amount,country,vip\n")
	}
	for i := range count {
		amount, country := i*37%1000+shift, []string{"DE", "FR", "US"}[i%3]
		if i*13%100 < shift/10 {
			country = "PL"
		}
		if asJSON {
			fmt.Fprintf(&b, "{\"amount\":%d,\"country\":%q,\"vip\":%t}\n", amount, country, i%4 == 0)
			continue
		}
		fmt.Fprintf(&b, "%d,%s,%t\n", amount, country, i%4 == 0)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o600))
}

// writeParquet turns a table file into Parquet: parquet FROM TO.
func writeParquet(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	spooled, err := table.Spool(context.Background(), table.Source{
		Name: args[0], Open: func() (io.ReadCloser, error) { return f, nil },
	}, table.SpoolOptions{})
	ts.Check(err)
	bytes, err := os.ReadFile(spooled.Path)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), bytes, 0o600))
	ts.Check(spooled.Close())
}

// pack packs a file by the name of the result: pack FROM TO.gz or TO.zst.
func pack(ts *testscript.TestScript, _ bool, args []string) {
	out, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	buffered := bufio.NewWriter(out)
	var packer io.WriteCloser = gzip.NewWriter(buffered)
	if strings.HasSuffix(args[1], ".zst") {
		packer, err = zstd.NewWriter(buffered, zstd.WithEncoderConcurrency(1))
		ts.Check(err)
	}
	_, err = packer.Write([]byte(ts.ReadFile(args[0])))
	ts.Check(errors.Join(err, packer.Close(), buffered.Flush(), out.Close()))
}

// cut drops the last bytes of a file: cut FILE COUNT.
func cut(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(os.Truncate(ts.MkAbs(args[0]), info.Size()-n))
}

// checkClean wants no temporary file left in the folder that the commands use.
func checkClean(ts *testscript.TestScript, _ bool, _ []string) {
	entries, err := os.ReadDir(ts.Getenv("TMPDIR"))
	ts.Check(err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "modelwatch-") {
			ts.Fatalf("%s was left behind", e.Name())
		}
	}
}

// fillBucket makes a bucket on an S3 server, copies files into it under their
// names, and sets the environment variables that AWS's tools find it by:
// bucket FILE..., after which $BUCKET is its name.
func fillBucket(t *testing.T, ts *testscript.TestScript, files []string) {
	server := testserver.S3(t)
	name := server.Bucket(t)
	for _, file := range files {
		_, err := server.Client().PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(name), Key: aws.String(file), Body: strings.NewReader(ts.ReadFile(file)),
		})
		ts.Check(err)
	}
	for key, value := range map[string]string{
		"BUCKET": name, "AWS_ENDPOINT_URL": server.Endpoint, "AWS_REGION": server.Region,
		"AWS_ACCESS_KEY_ID": server.AccessKey, "AWS_SECRET_ACCESS_KEY": server.SecretKey,
	} {
		ts.Setenv(key, value)
	}
}
