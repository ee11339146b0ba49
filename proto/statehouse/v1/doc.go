// Package statehousev1 is the contract of Statehouse: the code that protoc generates from
// statehouse.proto (the service that agents use) and capture.proto (for operators).
//
// docs/CONTRACT.md is the contract as a document, with its errors, limits and rules of
// compatibility. Clients that exist speak the base contract, so nothing in it changes:
// additions get new numbers, and descriptor_test.go holds the rest as it was.
//
// "make generate" writes the code anew. docs/CONTRIBUTING.md says what else an added method
// touches.
package statehousev1
