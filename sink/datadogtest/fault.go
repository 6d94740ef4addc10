package datadogtest

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// reply is an answer, or the lack of one.
type reply struct {
	status int // 0: none
	header http.Header
	body   string
	hang   bool // no answer until the sender gives up
}

// failure is Datadog's answer to what it does not take.
func failure(status int, messages ...string) reply {
	body, err := json.Marshal(map[string][]string{"errors": messages})
	if err != nil {
		panic(err) // strings always encode
	}
	return reply{status: status, body: string(body)}
}

// send writes a reply; without a status it breaks the connection.
func (in *Intake) send(w http.ResponseWriter, r *http.Request, rep *reply) {
	if rep.hang {
		select {
		case <-r.Context().Done():
		case <-in.closed:
		}
	}
	if rep.status == 0 {
		panic(http.ErrAbortHandler) // the server closes the connection without a word
	}
	for key, values := range rep.header {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rep.status)
	_, _ = io.WriteString(w, rep.body) // a sender that has gone is no concern of the intake
}

// fault is what one submission gets instead of its right answer.
type fault struct {
	reply
	stored bool // the payload is taken all the same: only the answer is wrong
}

// Fail answers the next n submissions with a status and takes nothing. 403, 413,
// 429, 500 and 503 are what Datadog is known to send.
func (in *Intake) Fail(n, status int) {
	in.inject(n, fault{reply: failure(status, http.StatusText(status))})
}

// Throttle answers the next n submissions with 429 and says when to come back.
func (in *Intake) Throttle(n int, reset time.Duration) {
	f := fault{reply: failure(http.StatusTooManyRequests, "Too many requests")}
	f.header = http.Header{"X-Ratelimit-Reset": {strconv.FormatInt(int64(reset/time.Second), 10)}}
	in.inject(n, f)
}

// Hang leaves the next n submissions without an answer until their senders give
// up or the intake is closed; nothing is taken.
func (in *Intake) Hang(n int) { in.inject(n, fault{reply: reply{hang: true}}) }

// Cut breaks the connection of the next n submissions before anything is taken.
func (in *Intake) Cut(n int) { in.inject(n, fault{}) }

// CutAnswer takes the next n submissions and breaks the connection instead of
// answering: the sender cannot know.
func (in *Intake) CutAnswer(n int) { in.inject(n, fault{stored: true}) }

// Complain takes the next n submissions and answers 202 with an error in the body.
func (in *Intake) Complain(n int, message string) {
	f := fault{reply: failure(http.StatusAccepted, message), stored: true}
	in.inject(n, f)
}

func (in *Intake) inject(n int, f fault) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for range n {
		in.faults = append(in.faults, f)
	}
}

// nextFault takes the fault that is meant for a request, if there is one.
func (in *Intake) nextFault(r *http.Request) *fault {
	if r.Method != http.MethodPost {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.faults) == 0 {
		return nil
	}
	f := in.faults[0]
	in.faults = in.faults[1:]
	return &f
}
