package app

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/schollz/progressbar/v3"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/modelwatch/modelwatch"
)

// SendOptions are the flags of modelwatch send.
type SendOptions struct {
	File    string
	Brokers []string
	Topic   string
	DryRun  bool
	Streams Streams
}

// maxEventBytes is the longest line that send takes; the service refuses longer records too.
const maxEventBytes = 10 << 20

// Send publishes a file of events. It stops at the first line that is not a
// JSON object, and says how many lines before it were published.
func Send(ctx context.Context, opts SendOptions) error {
	in, size, err := openInput(opts.File)
	if err != nil {
		return err
	}
	defer in.Close()
	var client *kgo.Client
	if !opts.DryRun {
		client, err = newProducer(opts.Brokers)
		if err != nil {
			return err
		}
		defer client.Close()
		if err := client.Ping(ctx); err != nil {
			return modelwatch.Wrap(modelwatch.CodeUnavailable, err, "no broker of %q answers", opts.Brokers)
		}
	}
	sent, err := sendLines(ctx, client, in, size, opts)
	verb := "sent"
	if opts.DryRun {
		verb = "checked"
	}
	fmt.Fprintf(opts.Streams.Err, "%s %d events\n", verb, sent)
	return err
}

func openInput(path string) (io.ReadCloser, int64, error) {
	if path == "-" {
		return io.NopCloser(os.Stdin), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, modelwatch.Wrap(modelwatch.CodeInvalid, err, "read events")
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func newProducer(brokers []string) (*kgo.Client, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.RecordDeliveryTimeout(time.Minute),
		kgo.ProducerBatchMaxBytes(maxEventBytes+1<<16),
		kgo.AllowAutoTopicCreation(),
	)
	if err != nil {
		return nil, modelwatch.Wrap(modelwatch.CodeInvalid, err, "brokers %q", brokers)
	}
	return client, nil
}

func sendLines(ctx context.Context, client *kgo.Client, in io.Reader, size int64, opts SendOptions) (int64, error) {
	bar := progress(opts.Streams.Err, size, "sending")
	lines := bufio.NewScanner(io.TeeReader(in, bar))
	lines.Buffer(make([]byte, 0, 1<<20), maxEventBytes)
	var sent atomic.Int64
	var failed atomic.Pointer[error]
	count := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
			return
		}
		sent.Add(1)
	}
	number, err := 0, error(nil)
	for err == nil && lines.Scan() && failed.Load() == nil {
		number++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err = checkEvent(line); err != nil {
			err = modelwatch.Wrap(modelwatch.CodeInvalid, err, "%s line %d", opts.File, number)
			continue
		}
		if client == nil {
			sent.Add(1)
			continue
		}
		client.Produce(ctx, &kgo.Record{Topic: opts.Topic, Value: bytes.Clone(line)}, count)
	}
	if client != nil {
		err = errors.Join(err, client.Flush(ctx))
	}
	if e := failed.Load(); e != nil {
		err = errors.Join(err, modelwatch.Wrap(modelwatch.CodeUnavailable, *e, "publish to topic %s", opts.Topic))
	}
	if e := lines.Err(); e != nil {
		err = errors.Join(err, modelwatch.Wrap(modelwatch.CodeInvalid, e, "%s after line %d", opts.File, number))
	}
	return sent.Load(), errors.Join(err, bar.Finish())
}

// checkEvent reports whether a line is one JSON object. Whether it is an event
// that can be placed is the service's to say: it keeps what it refuses.
func checkEvent(line []byte) error {
	v := jsontext.Value(line)
	if !v.IsValid() {
		return errors.New("is not valid JSON")
	}
	if v.Kind() != '{' {
		return errors.New("is not a JSON object")
	}
	return nil
}

// progress makes a bar on a terminal and nothing elsewhere.
func progress(w io.Writer, size int64, what string) *progressbar.ProgressBar {
	if _, ok := terminalWidth(w); !ok {
		return progressbar.DefaultBytesSilent(size, what)
	}
	return progressbar.NewOptions64(size,
		progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
}

// progressCount is progress of things that are counted; -1 if their number is not known.
func progressCount(w io.Writer, count int, what string) *progressbar.ProgressBar {
	if _, ok := terminalWidth(w); !ok {
		return progressbar.DefaultSilent(int64(count), what)
	}
	return progressbar.NewOptions(count,
		progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(w),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
}
