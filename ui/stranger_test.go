package ui_test

import (
	"strings"
	"testing"
	"time"
)

// TestWhatWasKnownAt: a stranger opens the page, and finds out what an agent knew at 10:42, which commit
// had made it so, which changed it after that, and who wrote each of them.
func TestWhatWasKnownAt(t *testing.T) {
	r := newRig(t)
	yesterday := time.Now().AddDate(0, 0, -1)
	at := func(hour, minute int) {
		then := time.Date(yesterday.Year(), yesterday.Month(), yesterday.Day(), hour, minute, 7, 0, time.Local)
		r.skew.Store(int64(time.Until(then)))
	}
	by := func(who, why string) string { return `{"actor":"` + who + `","reason":"` + why + `"}` }
	at(10, 31)
	r.commit(by("alice", "the first figures"), put("planner", "facts/paris", `{"population":2102650}`), put("planner", "plan", `{"goal":"population of Paris"}`))
	at(10, 38)
	r.commit(by("carol", "a review"), put("critic", "notes/1", `{"about":"planner"}`))
	at(10, 41)
	r.commit(by("bob", "of another year"), put("planner", "facts/paris", `{"population":2133111}`))
	at(10, 45)
	r.commit(by("dave", "the census"), put("planner", "facts/paris", `{"population":2113705}`))
	at(10, 58)
	r.commit(by("alice", "done"), put("planner", "plan", `{"goal":"population of Paris","done":true}`))

	c := newChromium(t)
	c.look(1400, 860, "light")
	c.open(r.url+"/ui/", "main", "planner")
	c.click("a[href*='agent=planner']")
	c.shows(".moment", "commit 5")
	c.eval(`{ const field = [...document.querySelectorAll('label')].find((l) => l.innerText.includes('At time')).querySelector('input') ?? document.querySelector('.go input');
		field.value = '`+yesterday.Format("2006-01-02")+`T10:42'; document.querySelector('.go button').click(); }`, nil)

	// What it knew.
	c.shows(".moment", "commit 3")
	c.shows(".moment", "10:41:07")
	c.click("[data-path='facts/']")
	c.shows(".tree", "paris")
	c.click("[data-path='facts/paris']")
	c.shows(".record .value", "2133111")
	// Which commit had made it so, what that changed, and who wrote it.
	c.shows(".record .versions > li:first-child", "commit 3")
	for _, said := range []string{"bob", "of another year", "2102650", "2133111"} {
		c.shows(".record .versions > li:first-child", said)
	}
	c.shows(".changes .current", "bob")
	c.shows("[data-path='facts/paris']", "2133111")
	// And which changed it after that.
	c.click("button[title='The next commit']")
	c.shows(".moment", "10:45:07")
	c.shows(".record .value", "2113705")
	c.shows("[data-path='facts/paris']", "2113705") // in the folder that is open
	c.shows(".changes .current", "dave")
	if was := c.text(".record .versions"); !strings.Contains(was, "bob") || !strings.Contains(was, "alice") {
		t.Errorf("the history is %q", was)
	}
	c.click("button[title='The commit before']")
	c.shows(".moment", "10:41:07")
	c.shows("[data-path='facts/paris']", "2133111")
	c.click("button[title='The next commit']")
	c.shows(".moment", "10:45:07")
	// The address tells it to somebody else.
	var address string
	c.eval("location.href", &address)
	c.open(address, ".record .value", "2113705")
	c.clean()
}
