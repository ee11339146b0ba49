package statehouse

// engineDoors are those of the rooms of which the engine consists. None of them imports the engine: what they share is
// in engine/words.
var engineDoors = map[string][]ban{
	"engine/fair": {
		{module + "/", "it is about turns, and knows of nothing that takes them"},
		{"google.golang.org", "as above"},
		{"github.com", "as above"},
	},
	"engine/jsontext": {
		{module + "/", "it is about JSON text, and knows of no store"},
		{"google.golang.org", "as above"},
		{"github.com", "as above"},
	},
	"engine/words": {
		{module + "/", "it is what all rooms of the engine say to each other, and knows none of them"},
		{"google.golang.org", "as above"},
		{"github.com", "as above"},
	},
	"engine/layout": {
		{module + "/engine/jsonform", "it is about bytes, whatever a value may be"},
		{module + "/server", "it is about rows, whoever asks for them"},
		{module + "/proto", "as above"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{"io", "it says what bytes mean: others read and write them"},
		{"os", "as above"},
		{"github.com/cockroachdb/pebble/v2/vfs", "as above"},
		{"google.golang.org", "as above"},
	},
	"engine/jsonform": {
		{module + "/server", "it is about the text of values, and knows of no store"},
		{module + "/proto", "as above"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{"google.golang.org", "as above"},
		{"github.com", "as above"},
	},
	"engine/jsonedit": {
		{module + "/server", "it is about JSON text, and knows of no store"},
		{module + "/proto", "as above"},
		{module + "/history", "as above"},
		{module + "/sim", "as above"},
		{"google.golang.org", "as above"},
		{"github.com", "as above"},
	},
}
