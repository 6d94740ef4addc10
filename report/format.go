package report

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/modelwatch/modelwatch"
)

// number writes a value with four significant digits, the way people read it:
// no exponent between 0.0001 and ten million.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	a := math.Abs(v)
	if a < 1e-4 || a >= 1e7 {
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', 2, 64), "e")
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		e, _ := strconv.Atoi(exponent) // FormatFloat wrote it
		return minus(mantissa) + "e" + strconv.Itoa(e)
	}
	digits := max(3-int(math.Floor(math.Log10(a))), 0)
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	whole, fraction, dot := strings.Cut(text, ".")
	if a >= 1e4 {
		whole = grouped(whole)
	}
	if text = minus(whole); dot {
		text += "." + fraction
	}
	return text
}

// minus puts the typographic sign in the place of a hyphen.
func minus(text string) string {
	if rest, ok := strings.CutPrefix(text, "-"); ok {
		return "\u2212" + rest
	}
	return text
}

// grouped puts a comma after every three digits.
func grouped(digits string) string {
	sign := ""
	if rest, ok := strings.CutPrefix(digits, "-"); ok {
		sign, digits = "-", rest
	}
	if len(digits) < 4 {
		return sign + digits
	}
	var groups []string
	for len(digits) > 3 {
		groups = append(groups, digits[len(digits)-3:])
		digits = digits[:len(digits)-3]
	}
	groups = append(groups, digits)
	slices.Reverse(groups)
	return sign + strings.Join(groups, ",")
}

func count(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// plural is "1 column", "2 columns".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(int64(n)) + " " + noun + "s"
}

func percent(v float64) string { return number(100*v) + " %" }

// pValue writes small probabilities as a bound: their digits mean nothing.
func pValue(p float64) string {
	if p < 1e-4 {
		return "< 0.0001"
	}
	return strconv.FormatFloat(p, 'f', 4, 64)
}

// usable returns the value of a pointer, where it is a finite number.
func usable(v *float64) (float64, bool) {
	if v == nil || math.IsNaN(*v) || math.IsInf(*v, 0) {
		return 0, false
	}
	return *v, true
}

// share clamps a proportion to [0, 1]; what is not finite is 0.
func share(v float64) float64 {
	if !(v > 0) {
		return 0
	}
	return min(v, 1)
}

var reasons = map[modelwatch.Reason]string{
	modelwatch.ReasonTooFew:        "too few rows",
	modelwatch.ReasonEmpty:         "empty",
	modelwatch.ReasonConstant:      "constant in the baseline",
	modelwatch.ReasonAllMissing:    "all missing",
	modelwatch.ReasonSingleClass:   "one class only",
	modelwatch.ReasonNoPositive:    "no positives",
	modelwatch.ReasonNoLabels:      "no labels",
	modelwatch.ReasonNotApplicable: "does not apply",
	modelwatch.ReasonZeroDivision:  "division by zero",
}

func reason(r modelwatch.Reason) string {
	if text, ok := reasons[r]; ok {
		return text
	}
	if r == "" {
		return reasons[modelwatch.ReasonNotApplicable]
	}
	return strings.ReplaceAll(string(r), "_", " ")
}

// segmentLabel is "country=DE, device=phone", the keys in order.
func segmentLabel(segment map[string]string) string {
	keys := make([]string, 0, len(segment))
	for k := range segment {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		keys[i] = k + "=" + segment[k]
	}
	return strings.Join(keys, ", ")
}
