package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/modelwatch/modelwatch/api"
)

// IngestStatusOptions are the flags of modelwatch ingest status.
type IngestStatusOptions struct {
	Server, Token string
	Format        string // table, json or ndjson
	Streams       Streams
}

// PrintIngestStatus prints how far the archive is behind, as the service sees it.
func PrintIngestStatus(ctx context.Context, o IngestStatusOptions) error {
	client, err := api.NewClient(o.Server, o.Token, nil)
	if err != nil {
		return err
	}
	status, err := client.Ingest(ctx)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(o.Streams.Out)
	switch o.Format {
	case "json":
		encoder.SetIndent("", "  ")
		return encoder.Encode(status)
	case "ndjson":
		return encoder.Encode(status)
	}
	return writeIngestStatus(o.Streams.Out, &status)
}

// writeIngestStatus prints the tables of a status. An error comes back from the
// last write: a stream that was cut off takes nothing more.
func writeIngestStatus(w io.Writer, s *api.IngestStatus) error {
	fmt.Fprintf(w, "group %s%s\n", printable(s.Group.Name), groupState(s.Group))
	for _, notice := range s.Notices {
		fmt.Fprintf(w, "! %s\n", printable(notice))
	}
	for _, p := range s.Partitions {
		if p.Notice != "" {
			fmt.Fprintf(w, "! %s/%d: %s\n", printable(p.Topic), p.Partition, printable(p.Notice))
		}
	}
	fmt.Fprintln(w)
	err := writeItems(w, "table", s.Partitions, "TOPIC\tPARTITION\tCURSOR\tEND\tLAG\tOLDEST\tLAST HOUR\tCOMMITTED\tLOST\tEPOCH\tOWNER", func(p api.IngestPartition) string {
		return strings.Join([]string{
			printable(p.Topic), strconv.Itoa(int(p.Partition)), orDash(p.Cursor), orDash(p.LogEnd), orDash(p.LagRecords), oldest(p.LagSeconds),
			strconv.FormatInt(p.LastHour, 10), since(p.Committed, s.Time), strconv.FormatInt(p.Deleted+p.Truncated, 10),
			strconv.FormatInt(p.OwnerEpoch, 10), cmp.Or(printable(p.Owner), "-"),
		}, "\t")
	})
	if err == nil && len(s.Versions) > 0 {
		fmt.Fprintln(w, "\nEvents of the last hour, by their own time:")
		err = writeItems(w, "table", s.Versions, "MODEL\tVERSION\tKIND\tSEEN\tKEPT\tSAMPLED OUT\tREJECTED", func(v api.IngestVersion) string {
			return fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%d\t%d", printable(v.Model), cmp.Or(printable(v.Version), "-"), v.Kind, v.Seen, v.Kept, v.SampledOut, v.Rejected)
		})
	}
	if err == nil && len(s.Rejected) > 0 {
		fmt.Fprintln(w, "\nDead letters of the last hour:")
		err = writeItems(w, "table", s.Rejected, "MODEL\tREASON\tCOUNT", func(r api.IngestRejected) string {
			return fmt.Sprintf("%s\t%s\t%d", cmp.Or(printable(r.Model), "-"), r.Reason, r.Count)
		})
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\nUploads: %d under way%s, %d given up and not yet deleted\n", s.Uploads.Pending, uploading(s), s.Uploads.Condemned)
	return err
}

func groupState(g api.IngestGroup) string {
	if g.Members == nil {
		return ""
	}
	noun := "consumers"
	if *g.Members == 1 {
		noun = "consumer"
	}
	return fmt.Sprintf(": %s, %d %s", cmp.Or(strings.ToLower(g.State), "unknown"), *g.Members, noun)
}

func orDash(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

// oldest is the age of the oldest record that is not archived.
func oldest(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return age(time.Duration(*seconds * float64(time.Second)))
}

// since says how long ago something was.
func since(t *time.Time, now time.Time) string {
	if t == nil {
		return "-"
	}
	return age(now.Sub(*t)) + " ago"
}

func uploading(s *api.IngestStatus) string {
	if s.Uploads.OldestPending == nil {
		return ""
	}
	return ", the oldest for " + age(s.Time.Sub(*s.Uploads.OldestPending))
}

// age is a duration to the second, or to the millisecond where it is less.
func age(d time.Duration) string {
	unit := time.Second
	if d < time.Second {
		unit = time.Millisecond
	}
	return max(d, 0).Truncate(unit).String()
}
