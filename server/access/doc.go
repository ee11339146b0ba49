// Package access decides who may do what. It knows principals and namespaces, and no method: which
// permission a request asks for, and of which namespaces, is a table of package server.
//
// Whoever asks is one of these ([Caller]):
//
//   - a key: the request carries its secret, "authorization: Bearer shk_…". The principal is the
//     key's name, and it may do what the key's scopes say;
//   - a certificate: the connection was opened with a client certificate whose subject is the name
//     of a key that was made for certificates, and so has no secret;
//   - the shared token, whose principal is "token" and may do everything;
//   - nobody, where access is open: there is no token and there has never been a key. Then
//     everybody may do everything, and a certificate's subject is a name and no more.
//
// Once there is a key, what no key or token allows is refused. Revoked keys keep it so: access
// does not become open again because the last key was taken away.
//
// # Secrets
//
// A secret is shk_ID_SECRET: the key's id, which is not secret, and 256 random bits. What is kept
// is its SHA-256 (key.go). A slow hash, or a salt, would add nothing: they protect passwords, which can
// be guessed, and 2^256 secrets cannot. They would cost every request what they cost an attacker.
// A key is looked up by its id and its hash is compared in constant time; for an id that there is
// not, a hash is compared, too, so that the time of the answer does not tell. Ids are no secrets
// all the same.
//
// # Keys and the audit log
//
// Both are system rows of the engine (engine/system.go). A change of keys is decided by the
// engine's writer and made durable in one batch with its entry in the audit log ([Control.Act]):
// what cannot be written there is not done. [Control] holds what is needed to decide about a
// request in a table that never changes; a change makes a new table, when it is durable and
// before it is answered, and requests read it without a lock.
//
// # Requests that go on
//
// What was allowed when it began is asked again: [Control.Valid] is called for every request of a
// session and every message of a stream, by the writer when a commit's turn comes
// (engine.Conditions.Permit), and a few times a second for every stream that is open
// ([Control.Tick]), which ends those of keys that were revoked or have expired.
package access
