// Package clustertest runs a cluster in one process, for tests: members on disks in memory, each with its node, its
// engine and its service behind a listener on loopback, and a network between them that can be cut. What clients
// see of it is what they see of a cluster of daemons.
package clustertest
