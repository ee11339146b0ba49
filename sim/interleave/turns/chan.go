package turns

import "time"

// Channels stay real. As only one thread runs, an operation waits for nothing once it is
// known to be possible. Of channels without a buffer only closing is supported.

// readable reports whether a receive would not wait.
func readable[T any](c <-chan T) bool {
	if len(c) > 0 {
		return true
	}
	select {
	case _, open := <-c:
		if open {
			panic("turns: a goroutine beside the run sent a value")
		}
		return true
	default:
		return false
	}
}

// Recv is <-c.
func Recv[T any](c <-chan T) T {
	until("receive", func() bool { return readable(c) })
	return <-c
}

// Recv2 is v, ok := <-c.
func Recv2[T any](c <-chan T) (v T, ok bool) {
	until("receive", func() bool { return readable(c) })
	v, ok = <-c
	return v, ok
}

// Send is c <- v.
func Send[T any](c chan<- T, v T) {
	if until("send", func() bool { return writable(c) }) {
		buffered(c)
	}
	c <- v
	point("what follows send")
}

func writable[T any](c chan<- T) bool { return cap(c) == 0 || len(c) < cap(c) }

func buffered[T any](c chan<- T) {
	if cap(c) == 0 {
		panic("turns: a send on a channel without a buffer is not modelled")
	}
}

// Close is close(c).
func Close[T any](c chan<- T) {
	point("close")
	close(c)
	point("what follows close")
}

// Case is one case of a select statement.
type Case struct{ ready func() bool }

// R is a case that receives.
func R[T any](c <-chan T) Case { return Case{func() bool { return c != nil && readable(c) }} }

// S is a case that sends.
func S[T any](c chan<- T) Case {
	return Case{func() bool {
		if c != nil {
			buffered(c)
		}
		return c != nil && writable(c)
	}}
}

// Select chooses a case of a select statement: the place of one that is ready, -1 for the
// default, and -2 to a goroutine beside the run, which is to choose for itself. The statement
// then has that one only, see Only.
func Select(hasDefault bool, cases ...Case) int {
	r, _ := me()
	if r == nil {
		return -2
	}
	var ready []int
	look := func() bool {
		ready = ready[:0]
		for i := range cases {
			if cases[i].ready() {
				ready = append(ready, i)
			}
		}
		return len(ready) > 0 || hasDefault
	}
	until("select", look)
	look()
	if len(ready) == 0 {
		return -1
	}
	return ready[r.policy.pick(len(ready))]
}

// Only is c if the case at place i was chosen, else nil.
func Only[C any](chosen, i int, c C) C {
	if chosen == i || chosen == -2 {
		return c
	}
	var none C
	return none
}

// Forever is select {}.
func Forever() {
	until("select without a case", func() bool { return false })
	select {}
}

// Ticker is time.Ticker.
type Ticker struct {
	C       <-chan time.Time
	c       chan time.Time
	stopped bool
}

// NewTicker is time.NewTicker. Its ticks come from Tick alone.
func NewTicker(time.Duration) *Ticker {
	t := &Ticker{c: make(chan time.Time, 1)}
	t.C = t.c
	if r, _ := me(); r != nil {
		r.tickers = append(r.tickers, t)
	}
	return t
}

// Stop is time.Ticker's.
func (t *Ticker) Stop() { t.stopped = true }

// Tick fires all tickers of the run.
func Tick() {
	r, _ := me()
	point("tick")
	for _, t := range r.tickers {
		if t.stopped {
			continue
		}
		select {
		case t.c <- time.Time{}:
		default:
		}
	}
}
