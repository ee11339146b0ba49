// Package members is a connection to daemons that keep one store between them. Calls go to the one that leads, which
// answers everything itself: others would hand on to it what only it can answer. A call is sent once. One that fails says
// where the next is to go, so who repeats it finds a member that answers.
//
// Reads that may be of a state that is not the newest go to all members in turn.
package members
