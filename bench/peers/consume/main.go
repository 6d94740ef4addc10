// Command consume is what a Go program does that reads events without more
// thought: a plain franz-go consumer, and encoding/json into a map. The ingest
// benchmark compares with it. It writes nothing anywhere.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/twmb/franz-go/pkg/kgo"
)

func main() {
	broker := flag.String("broker", "", "address of a broker")
	topic := flag.String("topic", "", "topic, read from its start")
	records := flag.Int("records", 0, "how many records to read")
	count := flag.Bool("count", false, "only count bytes: what reading alone takes")
	flag.Parse()
	if err := consume(*broker, *topic, *records, *count); err != nil {
		fmt.Fprintln(os.Stderr, "consume:", err)
		os.Exit(1)
	}
}

func consume(broker, topic string, records int, count bool) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	var fields, bytes int
	for read := 0; read < records; {
		fetches := client.PollFetches(context.Background())
		if err := fetches.Err(); err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); read++ {
			value := it.Next().Value
			bytes += len(value)
			if count {
				continue
			}
			var event map[string]any
			if err := json.Unmarshal(value, &event); err != nil {
				return fmt.Errorf("record %d: %w", read, err)
			}
			fields += len(event)
		}
	}
	fmt.Println(records, "records,", bytes, "bytes,", fields, "fields at the top")
	return nil
}
