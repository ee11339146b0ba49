// Package reach is what it takes to reach a daemon: where it is (address.go), over what
// (connect.go), and with which token (token.go). It makes a connection and knows nothing of what is said on it.
//
// All of it errs on the side of a clear refusal. An address is one of a few forms, since whatever
// a resolver guesses about the rest shows only as a timeout. A token does not go to
// another machine in plain text unless that was allowed. And a handshake that fails, which gRPC
// would report as a daemon that cannot be reached, is explained: the certificate is not trusted,
// or one side speaks TLS and the other does not (handshake.go).
//
// Errors are plain: package client, which has the closed set of errors, turns what is refused
// here into its ErrInvalid, and a status in which [Disagreement] finds a reason into its ErrTLS.
package reach
