// Package toggle is the switch that mutants stand behind. Production code does not import
// it: the overlay that makes the mutants does (sim/mutant), so it is linked into a program
// only together with them.
//
// Which mutant is on is said by the environment, once, at the start of the process: a mutant
// may be in what a package initializes, or change what a process remembers from one run to
// the next. So each is tried in processes of its own.
package toggle

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

// Variable is the environment variable with the number of the mutant that is on. Record in
// its place turns none on and notes which are reached: for Reached, and in the file that
// RecordIn names, if it is set, since a test program has nobody to ask it.
const (
	Variable = "MUTANT_ON"
	Record   = "record"
	RecordIn = "MUTANT_REACHED"
)

var (
	on = chosen()
	// reached has a bit for each number, while that is recorded; it is nil otherwise. Bits are
	// set by whatever goroutine comes by.
	reached []atomic.Uint64
	record  *os.File // nil: nobody has asked for one
)

// most is how many mutants can be told apart. Their numbers begin at 1.
const most = 1 << 16

func chosen() uint32 {
	value := os.Getenv(Variable)
	if value == Record {
		reached = make([]atomic.Uint64, most/64)
		if path := os.Getenv(RecordIn); path != "" {
			record, _ = os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644) // none: who reads it finds nothing
		}
		return 0
	}
	n, _ := strconv.ParseUint(value, 10, 32) // nothing or nonsense: the code as it is
	return uint32(n)
}

// On reports whether mutant n is on.
func On(n uint32) bool {
	if reached != nil {
		note(n)
	}
	return n == on
}

func note(n uint32) {
	bit := uint64(1) << (n % 64)
	if before := reached[n/64].Or(bit); before&bit == 0 && record != nil {
		fmt.Fprintln(record, n) // at once: a test may end the process
	}
}

// One is 1 if mutant n is on, and 0 if not: what a number in the code is moved by.
func One[T ~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr](n uint32) T {
	if On(n) {
		return 1
	}
	return 0
}

// Reached lists the mutants that were reached since it was last called. It is empty unless
// the process was started to record that.
func Reached() (list []uint32) {
	for i := range reached {
		for bit, bits := uint32(0), reached[i].Swap(0); bits != 0; bit, bits = bit+1, bits>>1 {
			if bits&1 != 0 {
				list = append(list, uint32(i)*64+bit)
			}
		}
	}
	return list
}
