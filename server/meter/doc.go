// Package meter counts requests and measures how long things take, in a daemon whose operator looks
// on: by method and code for requests, by phase for commits. It counts in plain numbers and knows of
// no monitoring system; package server/metrics shows them to one.
//
// A request costs two looks at the clock and three atomic additions. There are as many numbers as
// there are methods and codes: nothing that a client chooses, a name or a key, becomes one, but
// for namespaces that the operator has listed.
//
// A nil Meter counts nothing, and asks no clock: so it is in the simulator.
package meter
