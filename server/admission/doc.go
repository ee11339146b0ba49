// Package admission decides when a request may begin, and which never does (G9).
//
// A daemon that is asked more than it can do must refuse some of it, or all of it comes too
// late. Three things are decided here, none of which knows a method:
//
//   - How many requests run at once (Gate). Past what keeps the processors busy more of them
//     only wait for each other, where no one sees it: as goroutines. Those that wait for the
//     disk do not count as running. They share its syncs, so the more the better.
//   - Who is next. Requests wait in one lane for each share, a principal or an address, and
//     the lanes are served in turn: one that floods waits for itself.
//   - Who has waited for too long. Each lane is a queue under CoDel (Nichols and Jacobson, 2012),
//     in the form for servers of Facebook's Thrift (Maurer, Fail at Scale, 2015): while even
//     the shortest wait of an interval is past a target, requests that have waited for twice
//     that are refused. A burst passes; a queue that only stands does not stay.
//
// And how often a principal may ask (Rates): a token bucket each.
//
// Time is a value, waiting is the engine's Await, so the simulator drives all of it.
package admission
