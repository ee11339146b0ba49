// Package page is where a list goes on. A list that is longer than an answer comes in pages, and the token that a
// page ends with says after which name, and at which commit, the next one goes on: so all pages show one point of
// the order, and the daemon holds nothing between them.
//
// A token is opaque to clients, and bound to what it goes on with: to the scope of the request, which is all
// that its pages have in common, and to the epoch of the store. The checksum keeps a client from mixing tokens up
// by mistake. It is no secret, so whatever a token says is checked like the rest of a request.
package page
