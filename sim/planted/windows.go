package planted

// windows are mistakes in how requests wait for a session that is crowded.
func windows() []Bug {
	return []Bug{
		{
			Name: "window-ignored", Guarantee: "G9", Tests: "./client/session ^TestWindow$", About: "a client has as many requests under way as it likes, whatever the daemon wants",
			Edits: []Edit{{"client/session/link.go", "		l.window = min(window, l.c.o.Requests)\n", ""}},
		},
		{
			Name: "line-never-turns", Guarantee: "G9", Tests: "./client/session ^TestOverloadedLine$", About: "requests that wait for too long are sent in the order in which they came all the same",
			Edits: []Edit{{"client/session/line.go", "	q.turned = q.n > 0\n", ""}},
		},
		{
			Name: "window-stays-small", Guarantee: "G9", Tests: "./server/session ^TestWindow$", About: "the window of a session that was crowded once never grows again",
			Edits: []Edit{{"server/session/window.go", "		w.size += w.size/8 + 1\n", ""}},
		},
	}
}
