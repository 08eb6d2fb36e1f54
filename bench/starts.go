package main

import (
	"context"
	"os"
	"time"
)

// The rows of a server that has just started; those of a filled database have its size behind.
const (
	binaryRow = "Binary, stripped"
	startRow  = "Start to ready"
	idleRow   = "RSS when idle"
	diskRow   = "On disk, for each event"
	newOne    = "; new database"
)

// startRows are what is measured of a server that has just started, on a new database and on each of those that are filled.
func (b *bench) startRows() []*row {
	rows := []*row{{name: binaryRow, unit: "MB", measure: func(context.Context) (s sample, err error) {
		if b.program != "" {
			return s, leftOut("-server names the binary")
		}
		info, err := os.Stat(b.binary)
		if err == nil {
			s.Value = megabytes(info.Size())
		}
		return s, err
	}}}
	rows = append(rows, b.startedRows(newOne, func(ctx context.Context) (*belfry, error) { return b.fresh(ctx, "new") })...)
	for _, events := range b.events {
		again := func(ctx context.Context) (*belfry, error) {
			b.stop(sizedServer(events))
			return b.sized(ctx, events)
		}
		rows = append(rows, b.startedRows(sizedName("", events), again)...)
		rows = append(rows, &row{name: sizedName(diskRow, events), unit: "B", measure: func(ctx context.Context) (s sample, err error) {
			path, err := b.filled(events)
			if err != nil {
				return s, err
			}
			size, err := fileSize(path)
			s.Value = float64(size) / float64(events)
			return s, err
		}})
	}
	return rows
}

// startedRows are the time that a start takes and the memory that is used after it.
func (b *bench) startedRows(behind string, start func(ctx context.Context) (*belfry, error)) []*row {
	return []*row{
		{name: startRow + behind, unit: "ms", measure: func(ctx context.Context) (s sample, err error) {
			server, err := start(ctx)
			if err == nil {
				s.Value = milliseconds(server.took)
			}
			return s, err
		}},
		{name: idleRow + behind, unit: "MB", measure: func(ctx context.Context) (s sample, err error) {
			server, err := start(ctx)
			if err != nil {
				return s, err
			}
			if err := sleep(ctx, time.Second); err != nil { // what a start leaves to do is done
				return s, err
			}
			if err := b.settle(ctx); err != nil {
				return s, err
			}
			m, err := memoryOf(server.pid())
			s.Value = megabytes(m.now)
			return s, err
		}},
	}
}

// sleep waits, but not beyond the end of the run.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
