package app

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/modelwatch/modelwatch"
	"github.com/modelwatch/modelwatch/engine"
)

// progressRows draws how many rows have been read, on a terminal.
func progressRows(w io.Writer, rows int64, what string) *progressbar.ProgressBar {
	if _, ok := terminalWidth(w); !ok {
		return progressbar.NewOptions64(rows, progressbar.OptionSetWriter(io.Discard), progressbar.OptionSetVisibility(false))
	}
	return progressbar.NewOptions64(rows, progressbar.OptionSetDescription(what), progressbar.OptionSetWriter(w),
		progressbar.OptionSetItsString("rows"), progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true))
}

// scoreWatch notices values that cannot be used, and where the first of them is,
// and counts the classes of labels.
type scoreWatch struct {
	task      modelwatch.Task
	scores    strangeNumber // outside of [0, 1]
	weights   strangeNumber // not positive
	noWeight  engine.JoinPlaces
	labels    []int64 // by code
	classes   []string
	negatives strangeNumber // labels of a ranking
}

// strangeNumber counts values and says where the first is.
type strangeNumber struct {
	engine.JoinPlaces
	value float64
}

func (s *strangeNumber) add(place int64, value float64) {
	if s.Rows == 0 || place < s.First {
		s.First, s.value = place, value
	}
	s.Rows++
}

func (w *scoreWatch) see(b *modelwatch.JoinedBatch) {
	if w.task == modelwatch.TaskBinary {
		for i, x := range b.Scores {
			if x < 0 || x > 1 {
				w.scores.add(b.Places[i], x)
			}
		}
	}
	for _, column := range b.ClassScores {
		for i, x := range column {
			if x < 0 || x > 1 {
				w.scores.add(b.Places[i], x)
			}
		}
	}
	for i, x := range b.Weights {
		switch {
		case math.IsNaN(x):
			if w.noWeight.Rows == 0 || b.Places[i] < w.noWeight.First {
				w.noWeight.First = b.Places[i]
			}
			w.noWeight.Rows++
		case x < 1e-9 || x > 1e9:
			w.weights.add(b.Places[i], x)
		}
	}
	w.seeLabels(b)
}

func (w *scoreWatch) seeLabels(b *modelwatch.JoinedBatch) {
	if w.task == modelwatch.TaskRanking {
		for i, x := range b.Label.Values {
			if x < 0 {
				w.negatives.add(b.Places[i], x)
			}
		}
	}
	if w.task != modelwatch.TaskMulticlass && w.task != modelwatch.TaskBinary {
		return
	}
	w.classes = b.Label.Classes
	for _, code := range b.Label.Codes {
		if code < 0 {
			continue
		}
		if n := int(code) + 1; n > len(w.labels) {
			w.labels = append(w.labels, make([]int64, n-len(w.labels))...)
		}
		w.labels[code]++
	}
}

// unseen counts the labels of classes that others do not hold, in order.
func (w *scoreWatch) unseen(known func(string) bool) (classes []string, rows int64) {
	for code, n := range w.labels {
		if n > 0 && !known(w.classes[code]) {
			classes, rows = append(classes, w.classes[code]), rows+n
		}
	}
	slices.Sort(classes)
	return classes, rows
}

// held are the classes of labels.
func (w *scoreWatch) held() map[string]bool {
	held := make(map[string]bool)
	for code, n := range w.labels {
		if n > 0 {
			held[w.classes[code]] = true
		}
	}
	return held
}

// warn says on standard error what a reader of the result should know.
func (r *backtestRun) warn() {
	if r.ownScores != nil {
		r.warnJoin(r.ownScores, r.baseline)
	}
	r.warnJoin(r.scores, r.predictions)
	r.warnScores()
	r.warnLabels()
	r.warnTypes()
	for _, note := range r.notes {
		fmt.Fprintln(r.opts.Streams.Err, "note: "+note)
	}
}

// warnTypes names the columns that cut rows into segments, or hold the score of a
// class, and are categories though they hold numbers. Where a number is wanted and
// a row has none, warnJoin says so.
func (r *backtestRun) warnTypes() {
	for _, t := range []*backtestTable{r.predictions, r.baseline} {
		if t != nil {
			t.files.noteMixed(r.opts.Streams.Err, "", func(name string) bool {
				return slices.Contains(r.columns.Segments, name) || r.config.Task == modelwatch.TaskMulticlass && r.isClassScore(name)
			})
		}
	}
}

func (r *backtestRun) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// at says where rows are: how many of a table, and the first.
func at(p engine.JoinPlaces, total int64) string {
	return fmt.Sprintf("%d of %d rows, first row %d", p.Rows, total, p.First+1)
}

func (r *backtestRun) warnJoin(g *scoreGroups, t *backtestTable) {
	j := g.report
	if p := j.PredictionsWithoutID; p.Rows > 0 {
		r.note("%s: no id in column %q in %s: not joined, not counted", t.uri, r.columns.ID, at(p, j.Predictions))
	}
	if p := j.RepeatedPredictions; p.Rows > 0 {
		r.note("%s: ids that repeat in %s: the first prediction of an id counts", t.uri, at(p, j.Predictions))
	}
	if r.labels != nil && t == r.predictions {
		if p := j.LabelsWithoutID; p.Rows > 0 {
			r.note("%s: no id in column %q in %s: not joined", r.labels.uri, r.columns.ID, at(p, j.Labels))
		}
		if p := j.RepeatedLabels; p.Rows > 0 {
			r.note("%s: ids that repeat in %s: the last label of an id counts", r.labels.uri, at(p, j.Labels))
		}
		if n := j.LabelsWithoutPrediction; n > 0 {
			r.note("%s: %d labels are of ids that were not predicted", r.labels.uri, n)
		}
	}
	for _, s := range j.Strange {
		uri := t.uri
		if s.Part == "labels" {
			uri = r.labels.uri
		}
		r.note("%s: column %q is no number in %s: %q", uri, s.Column, at(s.JoinPlaces, rowsOf(s.Part, j)), s.Text)
	}
	if w := g.watch.scores; w.Rows > 0 {
		r.note("%s: scores outside of [0, 1] in %s: %s; they are ranked, but are no probabilities", t.uri, at(w.JoinPlaces, j.Predictions), number(w.value))
	}
	if w := g.watch.weights; w.Rows > 0 {
		r.note("%s: column %q is no weight from 1e-9 to 1e9 in %s: %s; such rows are not counted", t.uri, r.columns.Weight, at(w.JoinPlaces, j.Predictions), number(w.value))
	}
	if w := g.watch.noWeight; w.Rows > 0 {
		r.note("%s: column %q has no weight in %s; such rows are not counted", t.uri, r.columns.Weight, at(w, j.Predictions))
	}
	if w := g.watch.negatives; w.Rows > 0 {
		r.note("%s: labels of a ranking under 0 in %s: %s; such rows are not counted", t.uri, at(w.JoinPlaces, j.Predictions), number(w.value))
	}
	if g.noTime > 0 {
		r.note("%s: no time in column %q in %d of %d rows: they are in no chunk", t.uri, r.columns.Time, g.noTime, j.Predictions)
	}
}

func rowsOf(part string, j *engine.JoinReport) int64 {
	if part == "labels" {
		return j.Labels
	}
	return j.Predictions
}

func number(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// warnScores says how many rows have nothing to score.
func (r *backtestRun) warnScores() {
	var unscored, badLabels, badScores, rows int64
	for key, group := range r.scores.groups {
		if key.crossing < 0 {
			c := group.scorer.Counts()
			unscored, badLabels, badScores, rows = unscored+c.Unscored, badLabels+c.BadLabels, badScores+c.BadScores, rows+c.Rows
		}
	}
	if unscored > 0 {
		r.note("%d of %d predictions carry nothing that the task %s can be scored by", unscored, rows, r.config.Task)
	}
	if badScores > 0 {
		r.note("%d of %d predictions with a label have no usable score: metrics of scores leave them out", badScores, rows)
	}
	if badLabels > 0 {
		r.note("%d of %d predictions have a label that the task %s cannot be scored by", badLabels, rows, r.config.Task)
	}
}

// warnLabels names classes that the baseline, or the model's scores, do not have.
func (r *backtestRun) warnLabels() {
	say := func(classes []string, rows int64, who string) {
		if rows == 0 {
			return
		}
		shown := make([]string, min(len(classes), 10))
		for i := range shown {
			shown[i] = strconv.Quote(classes[i])
		}
		more := ""
		if len(classes) > len(shown) {
			more = fmt.Sprintf(" and %d more", len(classes)-len(shown))
		}
		r.note("%d labels are of classes that %s: %s%s", rows, who, strings.Join(shown, ", "), more)
	}
	if r.config.Task == modelwatch.TaskBinary {
		if classes, rows := r.scores.watch.unseen(func(string) bool { return false }); len(classes) > 2 {
			say(classes, rows, "a binary model does not tell apart (all but the positive one count as negative)")
		}
		return
	}
	if r.config.Task != modelwatch.TaskMulticlass {
		return
	}
	if r.ownScores != nil {
		held := r.ownScores.watch.held()
		classes, rows := r.scores.watch.unseen(func(c string) bool { return held[c] })
		say(classes, rows, "the baseline does not hold")
	}
	if r.config.Classes != nil {
		classes, rows := r.scores.watch.unseen(func(c string) bool { return slices.Contains(r.config.Classes, c) })
		say(classes, rows, "the model gives no score for")
	}
}
