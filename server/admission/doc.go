// Package admission bounds how often a principal may ask (G9): a token bucket each. It knows
// no method. Time is a value, so the simulator drives it.
//
// How much is under way at once is package limiter's. Whose commit the writer takes next, and
// which has waited for too long, is the engine's.
package admission
