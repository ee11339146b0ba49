package history

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
)

// Lines reads the lines of some kinds in a stretch of a file, in order, decoded by as
// many goroutines as there are processors.
type Lines struct {
	queue chan *chunk
	quit  chan struct{}
	now   *chunk
}

// chunk is some lines that one goroutine decodes.
type chunk struct {
	text  []byte
	line  int   // number of the first
	end   int64 // where it ends in the file
	done  chan struct{}
	lines []Line
	err   error // after the lines
}

// While a section is judged, about the next one is decoded.
const (
	chunkSize = 256 << 10
	ahead     = 128
)

// NewLines starts to read a part of a file, whose first line has the number line: of its lines those
// that wants says, by their first key.
func NewLines(in io.ReaderAt, part stretchOfFile, line int, wants func(kind []byte) bool) *Lines {
	procs := runtime.GOMAXPROCS(0)
	l := &Lines{queue: make(chan *chunk, ahead), quit: make(chan struct{})}
	work := make(chan *chunk, ahead)
	for range procs {
		go func() {
			for c := range work {
				c.decode(wants)
				close(c.done)
			}
		}()
	}
	go func() {
		defer close(l.queue)
		defer close(work)
		c := newChunk(line)
		send := func(end int64) bool {
			c.end = end
			select {
			case work <- c:
			case <-l.quit:
				return false
			}
			select {
			case l.queue <- c:
			case <-l.quit:
				return false
			}
			c = newChunk(line)
			return true
		}
		err := eachLine(io.NewSectionReader(in, part.from, part.to-part.from), func(text []byte, at int64) error {
			line++
			c.text = append(append(c.text, text...), '\n')
			if len(c.text) >= chunkSize && !send(part.from+at) {
				return io.ErrClosedPipe
			}
			return nil
		})
		if err == io.ErrClosedPipe {
			return
		}
		c.err = err
		send(part.to)
	}()
	return l
}

func newChunk(line int) *chunk {
	return &chunk{text: make([]byte, 0, chunkSize+chunkSize/8), line: line, done: make(chan struct{})}
}

func (c *chunk) decode(wants func([]byte) bool) {
	line := c.line
	for text := c.text; len(text) > 0; line++ {
		i := bytes.IndexByte(text, '\n')
		one := text[:i]
		text = text[i+1:]
		if !wants(kindOfLine(one)) {
			continue
		}
		var l Line
		if err := l.read(one); err != nil {
			c.err = fmt.Errorf("line %d: %w", line, err)
			return
		}
		if err := l.check(); err != nil {
			c.err = fmt.Errorf("line %d: %w", line, err)
			return
		}
		c.lines = append(c.lines, l)
	}
	c.text = nil
}

// Next is the next line, or io.EOF.
func (l *Lines) Next() (*Line, error) {
	for l.now == nil || len(l.now.lines) == 0 {
		if l.now != nil && l.now.err != nil {
			return nil, l.now.err
		}
		c, more := <-l.queue
		if !more {
			return nil, io.EOF
		}
		<-c.done
		l.now = c
	}
	line := &l.now.lines[0]
	l.now.lines = l.now.lines[1:]
	return line, nil
}

// At is how far in the file it is.
func (l *Lines) At() int64 {
	if l.now == nil {
		return 0
	}
	return l.now.end
}

// Close ends its goroutines, wherever they are.
func (l *Lines) Close() {
	close(l.quit)
}
