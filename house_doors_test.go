package statehouse

// doors says which rooms a room may not import, and why. A room that is not
// here must be added: the map of the house is policy, not a habit.
var doors = map[string][]ban{
	"engine": {
		{module + "/", "the engine is the ground floor: nothing of ours stands below it"},
		{"google.golang.org/grpc", "the state machine knows nothing of transports"},
		{"google.golang.org/protobuf", "the contract is translated at the edge, in server"},
		{"github.com/spf13/cobra", "flags belong to commands"},
	},
	"server": {
		{"github.com/cockroachdb/pebble", "storage is the engine's: what the server needs of it, the engine says in its own words"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{module + "/client", "the service must not lean on its own client"},
		{module + "/cmd", "commands are the outermost room"},
	},
	"server/structwire": {
		{module + "/server", "it is about bytes of one type, and knows of no service"},
		{module + "/history", "as above"},
	},
	"server/limiter": {
		{module + "/server", "it bounds whatever it is given"},
		{module + "/proto", "as above"},
		{module + "/history", "as above"},
		{"google.golang.org/grpc", "as above"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/unsent": {
		{module + "/proto", "it counts messages and connections, and knows of no method"},
		{module + "/history", "as above"},
		{module + "/server/conns", "what requests hold is counted there, what answers hold here"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/session": {
		{module + "/", "it carries requests, and knows of no method"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/access": {
		{module + "/server/", "it decides who may, and knows of no service"},
		{module + "/proto", "as above"},
		{module + "/sim", "production code does not know that it is simulated"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/admin": {
		{module + "/server/conns", "it answers operators, however they are let in"},
		{module + "/server/limiter", "as above"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"server/backup": {
		{module + "/server/", "it works on an engine and on files, with a service round it or without one"},
		{module + "/proto", "as above"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{"github.com/cockroachdb/pebble", "what is in a row is the engine's, and files are those of the seam"},
	},
	"server/captures": {
		{module + "/server/conns", "it records what is asked, however it is let in"},
		{module + "/server/limiter", "as above"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{"github.com/cockroachdb/pebble", "storage is the engine's, and a ring's files are those of the seam"},
	},
	"server/wiretest": {
		{module + "/", "it is for tests, and about bytes"},
	},
	"server/conns": {
		{module + "/", "it stands between gRPC and the network and knows of no service"},
	},
	"client": {
		{module + "/engine", "a client that shares code with the engine cannot catch the engine lying"},
		{module + "/server", "as for the engine"},
		{module + "/sim", "production code does not know that it is simulated"},
		{"github.com/cockroachdb/pebble", "a client has no storage"},
	},
	"client/admin": {
		{module + "/engine", "a client that shares code with the engine cannot catch the engine lying"},
		{module + "/server", "as for the engine"},
		{module + "/sim", "production code does not know that it is simulated"},
		{"github.com/cockroachdb/pebble", "a client has no storage"},
	},
	"client/footprint": {
		{module + "/client", "it is what a transaction holds: its client asks, and says what a failure means"},
		{module + "/engine", "a client that shares code with the engine cannot catch the engine lying"},
		{module + "/server", "as for the engine"},
		{module + "/history", "it knows of one transaction, and of nobody who looks on"},
		{module + "/sim", "production code does not know that it is simulated"},
		{"google.golang.org/grpc", "it makes no call"},
	},
	"client/reach": {
		{module + "/", "it makes connections, and knows of nothing that is said on one"},
	},
	"client/session": {
		{module + "/engine", "as for the client"},
		{module + "/server", "what it shares with the other end is the contract"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/client", "it carries calls, whoever makes them"},
		{"github.com/cockroachdb/pebble", "a client has no storage"},
	},
	"proto/statehouse/v1": {
		{module + "/", "the contract depends on nothing of ours"},
	},
	"sim": {
		{module + "/cmd", "commands are the outermost room"},
		{module + "/sim/scenario", "a world knows steps, not whoever wrote them"},
		{module + "/sim/fuzz", "a world draws nothing: what happens in it is said by its steps"},
		{module + "/sim/repro", "a world does not know what it is compared with"},
		{module + "/sim/workload", "clients come to a world from outside"},
		{module + "/sim/live", "a simulated world has no real daemon"},
		{module + "/sim/planted", "a world does not know that it is tested"},
		{"github.com/cockroachdb/pebble", "the store is reached through the engine, on a simulated disk"},
		{"gopkg.in/yaml.v3", "files are read by sim/scenario"},
	},
	"sim/tamper": { // alone of the simulator it opens Pebble: what it does must be past the engine
		{module + "/", "it changes stores by docs/FORMAT.md: with the engine's own code it would make the engine's mistakes"},
	},
	"sim/deserved": {
		{module + "/engine", "it states the contract's rules anew, and never by the code that is held to them"},
		{module + "/server", "as above"},
		{module + "/sim/", "it is told what a world knows"},
		{module + "/linearizability", "the state of records is judged there, refusals here"},
	},
	"sim/sched": {
		{module + "/", "it knows coroutines and goroutines, and nothing of what they do"},
	},
	"sim/bounds": {
		{module + "/linearizability/oracle", "it judges sizes, and the history's judges know of none"},
		{module + "/linearizability/serial", "as above"},
		{module + "/sim/", "a world sets bounds; they know no world"},
	},
	"sim/step": {
		{module + "/engine", "it is text: a step is carried out by sim"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/linearizability", "as above"},
		{module + "/sim/sched", "as above"},
	},
	"sim/scenario": {
		{module + "/sim/fuzz", "nothing in a scenario is random"},
		{module + "/sim/repro", "a scenario stands for itself, wherever it came from"},
		{module + "/engine", "a scenario knows the world by its steps"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
	},
	"sim/fuzz": {
		{module + "/sim/repro", "made-up runs do not know of captured ones"},
		{module + "/engine", "what is drawn becomes steps; a world carries them out"},
		{module + "/server", "as above"},
	},
	"sim/repro": {
		{module + "/engine", "what was captured becomes steps; a world carries them out"},
		{module + "/server", "as above"},
		{module + "/client", "what clients asked is in the history"},
	},
	"sim/simtest": {
		{module + "/", "it is what tests of worlds share, whichever they are"},
	},
	"sim/intent": {
		{module + "/engine", "what a client's user is told is judged by the log of the run"},
		{module + "/server", "as above"},
		{module + "/proto", "it stands above the client: what goes over the wire is recorded elsewhere"},
		{module + "/sim", "it knows clients and histories, simulated or not"},
	},
	"sim/workload": {
		{module + "/engine", "a program that uses Statehouse knows its client and nothing else"},
		{module + "/server", "as above"},
		{module + "/sim/simdisk", "as above"},
	},
	"history/capture": {
		{module + "/engine", "what the log holds is asked of a Source, which may be anything"},
		{module + "/server", "it stands in front of a service and knows none"},
		{module + "/sim", "production code does not know that it is simulated"},
		{module + "/linearizability", "production code does not know that it is judged"},
		{"github.com/cockroachdb/pebble", "a ring is a few files, which the seam gives"},
	},
	"history/segment": {
		{module + "/", "it is about rows as bytes, whoever wrote and reads them"},
	},
	"history/zst": {
		{module + "/", "it is about bytes"},
	},
	"history/edn": {
		{module + "/engine", "a history is all it knows"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
		{module + "/sim", "as above"},
	},
	"history/record": {
		{module + "/engine", "what is recorded is what goes over the wire"},
		{module + "/server", "as above"},
	},
	"history/bundle": {
		{module + "/engine", "a bundle is opened where there is no store"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
		{module + "/sim", "as above"},
	},
	"history/redact": {
		{module + "/engine", "it redacts what was recorded, whoever recorded it"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
		{module + "/sim", "production code uses it"},
	},
	"sim/live": {
		{module + "/server", "what it judges is the real daemon, in a process of its own"},
		{module + "/sim/simdisk", "the disk is the real one"},
		{module + "/cmd", "commands are the outermost room"},
		{"github.com/cockroachdb/pebble", "verify reaches the store through the engine"},
	},
	"sim/interleave": {
		{module + "/engine", "it rewrites text, and starts what runs it"},
		{module + "/server", "as above"},
		{module + "/sim/fuzz", "an interleaving is drawn by its own process"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"sim/interleave/turns": {
		{module + "/", "production code is built on it, and it knows nothing of that"},
	},
	"sim/interleave/rewrite": {
		{module + "/", "it is about text"},
	},
	"sim/interleave/programs": {
		{module + "/cmd", "commands are the outermost room"},
		{module + "/client", "what is interleaved is below the wire"},
		{module + "/sim/planted", "a program does not know that it is tested"},
	},
	"sim/interleave/explore": {
		{module + "/engine", "it runs programs and knows none"},
		{module + "/server", "as above"},
		{"github.com/spf13/cobra", "its flags are JSON: it is started by a program"},
	},
	"sim/planted": {
		{module + "/engine", "bugs are edits of source text: nothing of it is imported"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/cmd", "as above"},
	},
	"sim/mutant": {
		{module + "/engine", "mutants are made of source text: nothing of it is imported"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/cmd", "as above"},
	},
	"sim/mutant/toggle": {
		{module + "/", "it is linked into the code that is mutated, and can rest on none of it"},
	},
	"cmd/statehouse-sim": {
		{"github.com/cockroachdb/pebble", "the simulator reaches a store through the engine, on a simulated disk"},
	},
	"sim/simdisk": {
		{module + "/", "a disk knows nothing of what is stored on it"},
	},
	"history": {
		{module + "/", "a history is format: it knows neither who recorded it nor who judges it"},
		{"google.golang.org/", "a history can come from anywhere, whatever it was spoken over"},
		{"github.com/cockroachdb/", "as above"},
	},
	"linearizability": {
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/sim", "as above"},
		{module + "/proto", "a history can come from anywhere, whatever it was spoken over"},
	},
	"linearizability/verdict": {
		{module + "/", "it is the words of a verdict, and no rule"},
	},
	"linearizability/oracle": {
		{module + "/linearizability/serial", "a mistake in a rule that both share would blind both"},
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/proto", "as above"},
		{"github.com/anishathalye/porcupine", "the search is the other judge's"},
	},
	"linearizability/oracle/request": {
		{module + "/linearizability", "it compares requests, whatever they were answered"},
		{module + "/engine", "the judge shares no code with the judged: fingerprints least of all"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
	},
	"linearizability/oracle/model": {
		{module + "/linearizability/oracle", "it is what the log says, and knows no answer"},
		{module + "/linearizability/serial", "a mistake in a rule that both share would blind both"},
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{module + "/proto", "as above"},
	},
	"linearizability/serial": {
		{module + "/linearizability/oracle", "a mistake in a rule that both share would blind both"},
		{module + "/engine", "the judge shares no code with the judged"},
		{module + "/server", "as above"},
		{module + "/proto", "as above"},
	},

	"cmd/statehoused": {
		{module + "/sim", "the daemon does not know that it is simulated"},
		{module + "/linearizability", "nor that it is judged"},
		{module + "/client", "the daemon serves; it does not call itself"},
		{"github.com/cockroachdb/pebble", "storage is the engine's"},
	},
	"cmd/interrupt": {
		{module + "/", "it is about signals"},
	},
	"cmd/beside": {
		{module + "/", "it runs programs and knows none"},
	},
	"cmd/show": {
		{module + "/", "it shows what it is given, wherever that comes from"},
	},
	"cmd/connect": {
		{module + "/engine", "it says where a daemon is, to whoever speaks to it"},
		{module + "/server", "as above"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{module + "/linearizability", "as above"},
	},
	"cmd/statehousectl": {
		{module + "/engine", "the tool speaks the wire: statehoused is what reads stores"},
		{module + "/server", "what the tool knows of a daemon it learns over the wire"},
		{module + "/sim", "the operator's tool works on real daemons"},
		{module + "/linearizability", "statehouse-sim is what judges"},
		{"github.com/cockroachdb/pebble", "a tool on the wire has no storage"},
	},
	"cmd/statehouse-bench": {
		{module + "/engine", "it measures what a client sees: the engine has benchmarks of its own"},
		{module + "/server", "it measures a daemon over the wire"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{module + "/linearizability", "as above"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"cmd/statehouse-bench/bench": {
		{module + "/proto", "it measures targets, and knows no protocol"},
		{module + "/engine", "as above"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
		{"google.golang.org/", "as above"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"cmd/statehouse-bench/child": {
		{module + "/", "it runs programs and knows none"},
	},
	"cmd/statehouse-bench/wire": {
		{module + "/engine", "it measures a daemon over the wire"},
		{module + "/server", "as above"},
		{module + "/client", "retries and encodings of a client would be measured as well"},
		{"github.com/cockroachdb/pebble", "as above"},
	},
	"cmd/statehouse-bench/noop": {
		{module + "/engine", "it does nothing, and needs nothing to do it"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
	},
	"cmd/statehouse-bench/rivals": {
		{module + "/proto", "it is about other databases"},
		{module + "/engine", "as above"},
		{module + "/server", "as above"},
		{module + "/client", "as above"},
	},
	"": {},
}
