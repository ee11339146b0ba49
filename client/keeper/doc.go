// Package keeper holds leases: it renews those of a program in the background, all that are due in one request, until
// they are given up or lost. It makes no call itself: a Source does, which is a client.
//
// A lease is renewed when a third of its time is over, and is lost, for this program, when its time has passed since
// the last request that renewed it was sent, by this machine's clock: never later than for the daemon, which counts from
// when that request came. A renewal that fails is tried again until then.
package keeper
