// Package model is what the log of a history says: the state at every commit, which the oracle
// compares answers with.
//
// [Fold] builds it in one pass, and reports where the log itself breaks what a log guarantees:
// no commit is missing, time does not fall, versions of a key are 1, 2, 3…, and no transaction
// is in it twice. A [Model] then answers for any commit: a key's version (At), an agent's
// last commit (HeadAt), the commit that was the last at a time (TimeAt). A log need not begin
// at the beginning: of what was before its base, only the base is known (Older).
//
// [SameRead] says when what a client was shown of a value is what was written.
//
// It knows no request. What follows from an answer that is not as the model has it, package
// oracle decides.
package model
