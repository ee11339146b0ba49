// Package ui is the inspector's page: plain modules and one sheet of styles, as they are served. It
// needs no build and loads nothing from elsewhere.
//
//	page/app.js          which screen an address names; the key
//	page/api.js          calls of the daemon, all of which read
//	page/agents.js       namespaces and agents
//	page/agent.js        an agent at a moment: the slider, with state.js (the tree), record.js (a key and
//	                     its history) and events.js (commits)
//	page/log.js          the log, filtered and live
//	page/compare.js      two moments or two agents
//	page/leases.js       page/transaction.js, page/daemon.js
//	page/values.js       values, exactly, and what differs between two
//	page/dom.js          elements without markup; times.js: times
//
// What a store holds is put into the page as text and never as HTML, and the page's
// Content-Security-Policy (server/web/pages.go) lets no script run but these files.
package ui

import "embed"

// Page is the page's files, under page.
//
//go:embed page
var Page embed.FS
