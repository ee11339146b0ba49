// Package jsonform says what a value may be, and in which form it is stored and compared.
//
// A value is one JSON object, kept as the text that was sent. CheckValue reads it once, front to back, and builds no tree:
// it refuses what is not strict JSON, too deep, or has a key twice in an object, and takes insignificant white space out.
// Normal respells a value so that texts which say the same become the same bytes: names in order, numbers and
// escapes spelled in one way. It is what fingerprints are made of, so a request that is sent again in another spelling is
// known to be the same. Most values are in that form as they are sent, and CheckForm says so, since it has looked anyway.
//
// A KeySet finds a key twice in an object, for this package and for what reads the same values from another encoding.
package jsonform
