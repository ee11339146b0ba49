// Package serial is the second judge of a history. It states what the clients were told as
// constraints on a sequential model (claims.go, fates.go, refused.go) and has Porcupine search
// for an order of them that the model allows and the clock does (porcupine.go, search.go;
// Wing and Gong 1993, Lowe 2017).
//
// It judges commits with their conditions, refusals on them, reads of the present and what
// transactions read. Streams, histories of keys and reads of the past are left to the first
// judge, linearizability/oracle; the two share the format of histories and no rule.
package serial
