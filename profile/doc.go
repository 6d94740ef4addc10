// Package profile counts the values of a column on a grid that its training
// baseline has frozen.
//
// A [Grid] divides the values of one column into cells. A [Profile] holds how
// many values fell in each, and the sums, extremes and rows beside. Profiles on
// one grid merge by addition: the profile of a window is the merge of the
// profiles of its parts, to the byte and in any order, because every number in a
// profile is an integer or an extreme (sums are kept as exact integers, see
// [Profile.Mean]). Package drift computes its distances from two profiles.
package profile
