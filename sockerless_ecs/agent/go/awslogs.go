package main

import "fmt"

// awslogsCopy writes one run's lines to the emitter until its output has ended. It may fall
// behind, and then says which lines are missing.
type awslogsCopy struct {
	emitter  *emitter
	run      string
	reader   *lineReader
	expected uint64 // number of the next line
	marked   uint64 // number that was last told
}

func copyToLogDriver(e *emitter, run string, s *spool) {
	c := &awslogsCopy{e, run, newLineReader(s.cursor(1, true)), 1, 1}
	defer c.reader.cursor.close()
	e.write("started run=" + run)
	for more := true; more; {
		c.reader.cursor.wait() // outside the lock: notes get through
		more = c.batch()
	}
	if total := s.lines(); c.expected <= total {
		e.write(c.dropped(total))
	}
}

func (c *awslogsCopy) batch() bool {
	c.emitter.mu.Lock()
	defer c.emitter.mu.Unlock()
	defer c.emitter.out.Flush()
	return c.reader.read(func(l line) {
		if l.number != c.expected {
			c.emitter.put(c.dropped(l.number - 1))
		}
		if l.number >= c.marked+numberMark {
			c.emitter.put(fmt.Sprintf("line %d run=%s", l.number, c.run))
			c.marked = l.number
		}
		c.emitter.putLine(l, c.run)
		c.expected = l.number + 1
	})
}

func (c *awslogsCopy) dropped(last uint64) string {
	return fmt.Sprintf("lines %d to %d were dropped run=%s: the log driver is slow", c.expected, last, c.run)
}
