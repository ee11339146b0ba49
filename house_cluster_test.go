package statehouse

import "slices"

// ofMembers is banned from what members of a cluster consist of in production.
var ofMembers = []ban{
	{module + "/client", "members speak to each other, and not as clients"},
	{module + "/history", "a member does not know that it is recorded"},
	{module + "/linearizability", "nor that it is judged"},
	{module + "/sim", "nor that there is a simulator, which drives nodes itself, over a network of its own"},
	{module + "/cmd", "commands are the outermost room"},
}

// clusterDoors are those of the rooms of which a member of a cluster consists.
var clusterDoors = map[string][]ban{
	"cluster/node": {
		{module + "/proto", "members agree on the engine's steps, whatever clients say"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/history", "it does not know that it is recorded"},
		{module + "/linearizability", "nor that it is judged"},
		{module + "/sim", "nor that it is simulated"},
		{module + "/cmd", "commands are the outermost room"},
		{"google.golang.org/grpc", "whoever drives it carries its messages"},
	},
	"cluster/clustertest": { // node and server it imports: what it is for is to run the real ones
		{module + "/client", "its tests speak for clients that know of no cluster"},
		{module + "/sim", "its members run as daemons do"},
		{module + "/linearizability", "it judges nothing"},
		{module + "/cmd", "commands are the outermost room"},
	},
	"cluster/transport": slices.Concat(ofMembers, []ban{
		{module + "/engine", "it carries messages, whatever they are about"},
		{module + "/server", "as above"},
		{"github.com/cockroachdb/pebble", "as above"},
	}),
	"cluster/founding": slices.Concat(ofMembers, []ban{
		{module + "/server", "it is about directories, and fetches from whatever it is given"},
		{"google.golang.org/grpc", "as above"},
		{"go.etcd.io/raft", "there is no log yet"},
	}),
	"cluster/member": slices.Concat(ofMembers, []ban{
		{"github.com/cockroachdb/pebble", "the store is the engine's, the log the node's"},
	}),
}
