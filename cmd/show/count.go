package show

import "strconv"

// Count is a number of things, in the singular where it is one: 1 commit, 2 commits.
func Count[N ~int | ~int64 | ~uint64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return strconv.FormatInt(int64(n), 10) + " " + thing + "s"
}
