// Package lookout keeps what somebody who looks on wants to see and no record says: what was refused in
// the last hour, and which streams are open. It is kept in memory, within bounds, and has no value in it.
//
// Who may see what is not its business: it tells whoever it is asked by, one thing after the other.
package lookout
