// Package answer is the methods of StatehouseService: each turns a request into what the engine is asked, and
// what the engine says into messages. It knows records, and neither connections nor limits of requests: who asks
// was let in before a method is called, and how an answer is counted and sent comes after.
//
// # What is where
//
//	writes.go      transactions; operations.go and acts.go what their operations become
//	reads.go       one record, and lists of them; lists.go versions and names
//	find.go        records by what is in them; diff.go two points compared
//	leases.go      leases, and what expires
//	streams.go     replay and watch: events read as the stream has room for them
//	token.go       where a list goes on, so that all its pages are of one point
//	tuning.go      how much is answered and read at a time
//
// An answer is never cut short: what does not fit is a page, with a token, or is refused with a message that says
// what to ask for. So each list goes through the same steps: pageAfter reads the token, page says how much may
// come, sizer adds up what the messages take, and nextPage makes the token of the rest.
package answer
