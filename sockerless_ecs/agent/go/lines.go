package main

import "encoding/binary"

// line is one numbered line, with its newline if it had one; data lives until the next read.
type line struct {
	number uint64
	time   int64
	stream byte
	data   []byte
}

// lineReader turns a cursor's records into numbered lines. Where records were overwritten it goes
// on with the first line that is whole: the numbers jump.
type lineReader struct {
	cursor   *cursor
	buffer   []byte
	cutters  [3]cutter
	inStep   [3]bool // the cutter knows where its stream's line began
	headless [3]bool // the beginning of the unfinished line is lost
	partial  [3][]byte
	times    [3]int64
}

func newLineReader(c *cursor) *lineReader {
	return &lineReader{cursor: c, buffer: make([]byte, 4*(maxPayload+recordHead))}
}

// read passes on the lines that are there, waiting for output; false when there will be none.
func (r *lineReader) read(each func(line)) bool {
	records, lost := r.cursor.read(r.buffer)
	if lost {
		r.inStep = [3]bool{}
	}
	for len(records) > 0 {
		size := recordHead + int(binary.BigEndian.Uint32(records[recordHead-4:]))
		r.take(records[:size], each)
		records = records[size:]
		if len(records) == 0 {
			return true
		}
	}
	r.takeUnfinished(each)
	return false
}

func (r *lineReader) take(record []byte, each func(line)) {
	stream := record[recordHead-frameHead]
	number, cut := binary.BigEndian.Uint64(record[8:]), &r.cutters[stream]
	if !r.inStep[stream] {
		cut.column = int(binary.BigEndian.Uint32(record[24:]))
		r.inStep[stream], r.headless[stream] = true, cut.column > 0
		r.partial[stream] = r.partial[stream][:0]
	}
	r.times[stream] = int64(binary.BigEndian.Uint64(record))
	for data := record[recordHead:]; len(data) > 0; {
		n, ends := cut.cut(data)
		piece := data[:n]
		data = data[n:]
		if len(r.partial[stream]) > 0 || !ends {
			r.partial[stream] = append(r.partial[stream], piece...)
			piece = r.partial[stream]
		}
		if !ends {
			continue
		}
		if !r.headless[stream] {
			each(line{number, r.times[stream], stream, piece})
		}
		r.headless[stream] = false
		r.partial[stream] = r.partial[stream][:0]
		number++
	}
}

// takeUnfinished passes on what was written without a newline at the very end.
func (r *lineReader) takeUnfinished(each func(line)) {
	finished, number, cutters := r.cursor.spool.ended()
	if !finished || !r.cursor.atEnd() {
		return
	}
	for stream := byte(1); stream <= 2; stream++ {
		if cutters[stream].column == 0 {
			continue
		}
		if len(r.partial[stream]) == cutters[stream].column {
			each(line{number, r.times[stream], stream, r.partial[stream]})
		}
		number++
	}
}
