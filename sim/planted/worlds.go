package planted

// worlds are mistakes that only unlikely names, values and requests bring out.
func worlds() []Bug {
	return []Bug{
		{
			Name: "struct-zero-unsigned", Guarantee: "G2", About: "a Struct's -0 is kept as 0", Unseen: noHistory,
			Edits: []Edit{{"server/structwire/number.go", " && (d != 0 || !math.Signbit(d)):", ":"}},
		},
		{
			Name: "struct-2-63", Guarantee: "G2", About: "a Struct's 2^63 is kept as its negative", Unseen: noHistory,
			Edits: []Edit{{"server/structwire/number.go", "abs < 1<<63 &&", "abs <= 1<<63 &&"}},
		},
		{
			Name: "page-token-of-any-space", Guarantee: "G3", About: "a list of agents goes on with a page of another namespace", Unseen: noHistory,
			Edits: []Edit{{"server/answer/lists.go", "[]string{\"agents\", req.GetNamespace(), req.GetPrefix()}", "[]string{\"agents\", req.GetPrefix()}"}},
		},
	}
}
