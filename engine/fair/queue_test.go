package fair

import (
	"testing"

	"pgregory.net/rapid"
)

type guest struct {
	place Place
	share string
	size  int
	since int // of its share: it is the since-th
}

func (g *guest) Place() *Place { return &g.place }

// TestQueue holds, whatever joins, leaves and is taken: a share's own are taken in their
// order, nobody is lost or taken twice, and while two shares wait all the time neither gets
// more ahead of the other than the largest sizes of both.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q Queue[*guest]
		waiting := map[string][]*guest{}
		got := map[string]int{} // since all that wait began to
		number, most := 0, 0
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			share := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "share")
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0, 1:
				number++
				g := &guest{share: share, size: rapid.IntRange(1, 9).Draw(t, "size"), since: number}
				if len(waiting[share]) == 0 {
					clear(got) // it has not waited: what others got is no advantage
				}
				q.Join(g, share, g.size)
				waiting[share] = append(waiting[share], g)
				most = max(most, g.size)
			case 2:
				of := waiting[share]
				if len(of) == 0 {
					continue
				}
				i := rapid.IntRange(0, len(of)-1).Draw(t, "who leaves")
				if !q.Leave(of[i]) || q.Leave(of[i]) {
					t.Fatalf("%+v left not once", of[i])
				}
				waiting[share] = append(of[:i:i], of[i+1:]...)
				clear(got) // those behind it are where they would be without it, from now on
			default:
				if q.Len() == 0 {
					continue
				}
				next, g := q.Next(), q.Take()
				of := waiting[g.share]
				if next != g || len(of) == 0 || of[0] != g || g.place.Size() != g.size {
					t.Fatalf("%+v was taken, next was %+v, of %d of its share", g, next, len(of))
				}
				waiting[g.share] = of[1:]
				got[g.share] += g.size
				for other, of := range waiting {
					if len(of) > 0 && got[g.share]-got[other] > 2*most {
						t.Fatalf("share %s got %d, and %s, which waits as well, %d", g.share, got[g.share], other, got[other])
					}
				}
			}
			if n := len(waiting["a"]) + len(waiting["b"]) + len(waiting["c"]); q.Len() != n {
				t.Fatalf("%d wait, not %d", q.Len(), n)
			}
		}
		for q.Len() > 0 {
			q.Take()
		}
		if q.clock != 0 || len(q.ends) != 0 {
			t.Fatalf("an empty queue knows of the past: %d, %v", q.clock, q.ends)
		}
	})
}

// TestFlood: one who comes late is not behind all of one who asks for much, and what that one
// leaves again gives it no better place.
func TestFlood(t *testing.T) {
	var q Queue[*guest]
	var flood []*guest
	for range 1000 {
		flood = append(flood, &guest{share: "flood", size: 9})
		q.Join(flood[len(flood)-1], "flood", 9)
	}
	for range 10 {
		q.Take()
	}
	small := &guest{share: "small", size: 3}
	q.Join(small, "small", 3)
	for _, g := range flood[500:] {
		q.Leave(g)
	}
	again := &guest{share: "flood", size: 1}
	q.Join(again, "flood", 1)
	order := map[*guest]int{}
	for i := 0; q.Len() > 0; i++ {
		order[q.Take()] = i
	}
	if order[small] > 1 || order[again] != len(order)-1 {
		t.Errorf("of %d the late one was number %d, who left and came again number %d", len(order), order[small], order[again])
	}
}
