// Package clusterv1 is generated: what the members of a cluster say to each other.
package clusterv1
