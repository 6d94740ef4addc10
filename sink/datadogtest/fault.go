package datadogtest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// fault is what happens to one request instead of the right answer.
type fault struct {
	status int
	header http.Header
	body   string // "" is Datadog's error body for the status
	stored bool   // the payload is taken all the same: only the answer is wrong
	hang   bool
	cut    bool
}

// Fail answers the next n submissions with a status and takes nothing. 403, 413,
// 429, 500 and 503 are what Datadog is known to send.
func (in *Intake) Fail(n, status int) {
	in.inject(n, fault{status: status})
}

// Throttle answers the next n submissions with 429 and says when to come back.
func (in *Intake) Throttle(n int, reset time.Duration) {
	seconds := strconv.FormatInt(int64(reset/time.Second), 10)
	in.inject(n, fault{status: http.StatusTooManyRequests, header: http.Header{"X-Ratelimit-Reset": {seconds}}})
}

// Hang leaves the next n submissions without an answer until their senders give
// up or the intake is closed; nothing is taken.
func (in *Intake) Hang(n int) { in.inject(n, fault{hang: true}) }

// Cut breaks the connection of the next n submissions before anything is taken.
func (in *Intake) Cut(n int) { in.inject(n, fault{cut: true}) }

// CutAnswer takes the next n submissions and breaks the connection instead of
// answering: the sender cannot know.
func (in *Intake) CutAnswer(n int) { in.inject(n, fault{cut: true, stored: true}) }

// Complain takes the next n submissions and answers 202 with an error in the body.
func (in *Intake) Complain(n int, message string) {
	in.inject(n, fault{status: http.StatusAccepted, body: fmt.Sprintf(`{"errors":[%q]}`, message), stored: true})
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

// fault answers a request as the fault says, and notes it first if there will
// be no answer, so that a test can wait for a request that hangs.
func (in *Intake) fault(w http.ResponseWriter, r *http.Request, f *fault, rec Request) {
	if f.hang || f.cut {
		in.note(rec)
	}
	if f.hang {
		select {
		case <-r.Context().Done():
		case <-in.closed:
		}
	}
	if f.hang || f.cut {
		panic(http.ErrAbortHandler) // the server closes the connection without a word
	}
	for key, values := range f.header {
		w.Header()[key] = values
	}
	rec.Status = f.status
	if f.body == "" {
		answer(w, f.status, http.StatusText(f.status))
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(f.status)
		fmt.Fprint(w, f.body)
	}
	in.note(rec)
}
