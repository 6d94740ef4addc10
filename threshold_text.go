package modelwatch

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The bounds of what a threshold may look back on.
const (
	MaxShareWindows = 100
	MaxLag          = 366 * day
)

// maxChangePercent is beyond any change that one would want to be told of.
const maxChangePercent = 1e9

// ParseShare reads "2 of 3". K is at least 1, N at least K and at most MaxShareWindows.
func ParseShare(text string) (Share, error) {
	k, n, ok := strings.Cut(text, " of ")
	s := Share{K: whole(strings.TrimSpace(k)), N: whole(strings.TrimSpace(n))}
	switch {
	case !ok || s.K < 1 || s.N < 1:
		return Share{}, fmt.Errorf("%q is not a share of windows: write for example 2 of 3", text)
	case s.K > s.N:
		return Share{}, fmt.Errorf("%q is never reached: the first number must not be above the second", text)
	case s.N > MaxShareWindows:
		return Share{}, fmt.Errorf("%q looks back on more than %d windows", text, MaxShareWindows)
	}
	return s, nil
}

// whole reads a number written in digits only; 0 is any other text.
func whole(text string) int {
	if strings.Trim(text, "0123456789") != "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// String writes "2 of 3", and "" for the zero value.
func (s Share) String() string {
	if s == (Share{}) {
		return ""
	}
	return fmt.Sprintf("%d of %d", s.K, s.N)
}

// ParseChange reads a relative change with its sign, "+50%" or "-20%", as percent.
func ParseChange(text string) (float64, error) {
	digits, ok := strings.CutSuffix(text, "%")
	percent, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !signed(digits) || percent == 0 || !(math.Abs(percent) <= maxChangePercent) {
		return 0, fmt.Errorf("%q is not a relative change: write for example +50%% or -20%%", text)
	}
	return percent, nil
}

func signed(text string) bool { return strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") }

// FormatChange writes percent as ParseChange reads it: "+50%".
func FormatChange(percent float64) string {
	text := strconv.FormatFloat(percent, 'g', -1, 64)
	if percent > 0 {
		text = "+" + text
	}
	return text + "%"
}

const versionPrefix = "version:"

// ParseAgainst reads where a reference value is: "7d", the same series seven days
// earlier, or "version:3.0.0", the same window of that version.
func ParseAgainst(text string) (Against, error) {
	if version, ok := strings.CutPrefix(text, versionPrefix); ok {
		if version == "" {
			return Against{}, fmt.Errorf("%q names no version: write for example version:3.0.0", text)
		}
		return Against{Version: version}, nil
	}
	lag, err := ParseDuration(text)
	if err != nil {
		return Against{}, fmt.Errorf("%q is neither a duration nor a version: write for example 7d or version:3.0.0", text)
	}
	if lag <= 0 || lag > MaxLag {
		return Against{}, fmt.Errorf("%q must be above 0 and at most %s", text, FormatDuration(MaxLag))
	}
	return Against{Lag: lag}, nil
}

// String writes what ParseAgainst reads, and "" for the zero value.
func (a Against) String() string {
	switch {
	case a.Version != "":
		return versionPrefix + a.Version
	case a.Lag != 0:
		return FormatDuration(a.Lag)
	}
	return ""
}

// ParseThreshold reads a threshold in one line:
//
//	psi=0.2                     above 0.2
//	precision<0.9               below 0.9
//	psi=null                    above the 95 % point under no drift
//	psi=+50%@7d                 half as much again as seven days earlier
//	recall=-5%@version:3.0.0    5 % less than that version in the same window
//	rmse=+0.05@version:3.0.0    more than 0.05 above it
//	ks=mean+3sd                 learnt from the baseline's own chunks
//	psi[amount]=0.2             that column only
//	psi=0.2 for 2 of 3          in two of the last three windows
//
// METRIC>LIMIT is the same as METRIC=LIMIT. Which metrics there are is not known here.
func ParseThreshold(text string) (Threshold, error) {
	head, limit, below, ok := cutThreshold(text)
	if !ok || strings.HasPrefix(head, "[") {
		return Threshold{}, Errorf(CodeInvalid, "threshold %q: write METRIC=UPPER, for example psi=0.2, or METRIC<LOWER, for example precision<0.9", text)
	}
	t := Threshold{Metric: head}
	if metric, name, ok := strings.Cut(head, "["); ok {
		t.Metric, t.Name = metric, strings.TrimSuffix(name, "]")
	}
	if i := strings.LastIndex(limit, " for "); i >= 0 {
		share, err := ParseShare(strings.TrimSpace(limit[i+len(" for "):]))
		if err != nil {
			return Threshold{}, Wrap(CodeInvalid, err, "threshold %q", text)
		}
		t.For, limit = share, strings.TrimSpace(limit[:i])
	}
	if err := t.parseLimit(limit, below); err != nil {
		return Threshold{}, Wrap(CodeInvalid, err, "threshold %q", text)
	}
	return t, nil
}

// cutThreshold splits at the first operator that is not part of a column's name.
func cutThreshold(text string) (head, limit string, below, ok bool) {
	from := 0
	if open := strings.IndexByte(text, '['); open > 0 && open < strings.IndexAny(text+"=", "=<>") {
		for _, end := range [...]string{"]=", "]<", "]>"} {
			if i := strings.LastIndex(text, end); i > from {
				from = i
			}
		}
	}
	i := strings.IndexAny(text[from:], "=<>")
	if i+from <= 0 || i < 0 {
		return "", "", false, false
	}
	i += from
	return strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:]), text[i] == '<', true
}

func (t *Threshold) parseLimit(text string, below bool) error {
	what, against, moving := strings.Cut(text, "@")
	switch learn, learns := strings.CutSuffix(text, "sd"); {
	case below && (moving || learns || text == "null"):
		return fmt.Errorf("%q says itself on which side it limits: write = instead of <", text)
	case moving:
		return t.parseMoving(what, against)
	case text == "null":
		t.OverNull = true
	case learns:
		sd, err := strconv.ParseFloat(strings.TrimPrefix(learn, "mean+"), 64)
		if err != nil || !(sd > 0) || math.IsInf(sd, 0) {
			return fmt.Errorf("%q is not a learnt limit: write for example mean+3sd", text)
		}
		t.Learn = &Learn{SD: sd}
	default:
		limit, err := strconv.ParseFloat(text, 64)
		if err != nil || limit-limit != 0 {
			return fmt.Errorf("%q is not a number", text)
		}
		if below {
			t.Lower = &limit
		} else {
			t.Upper = &limit
		}
	}
	return nil
}

func (t *Threshold) parseMoving(step, against string) (err error) {
	if t.Against, err = ParseAgainst(against); err != nil {
		return err
	}
	if strings.HasSuffix(step, "%") {
		t.ChangePercent, err = ParseChange(step)
		return err
	}
	t.Difference, err = strconv.ParseFloat(step, 64)
	if err != nil || !signed(step) || t.Difference == 0 || math.IsNaN(t.Difference) || math.IsInf(t.Difference, 0) {
		return fmt.Errorf("%q is neither a relative change nor a difference: write for example +50%% or -0.05", step)
	}
	return nil
}
