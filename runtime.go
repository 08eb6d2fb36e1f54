package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// idleGarbage is how much garbage may come together, in percent of what is in use: with as little in use as Belfry has,
	// Go's own 100 has it collected a hundred times a second under load, for a seventh of all work.
	idleGarbage = 400
	// smallMemory is what Go's memory is kept below while less than half of it is in use, in bytes.
	smallMemory = 96 << 20
	// memoryInterval is how often it is looked at how much is in use.
	memoryInterval = time.Second
)

// keepMemorySmall has garbage collected seldom while there is little of it, and as often as Go does by itself once more is in
// use, until ctx ends. Who sets GOGC or GOMEMLIMIT has decided otherwise.
func keepMemorySmall(ctx context.Context) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	debug.SetGCPercent(idleGarbage)
	debug.SetMemoryLimit(smallMemory)
	go func() {
		debug.FreeOSMemory() // what the start has used
		tick := time.NewTicker(memoryInterval)
		defer tick.Stop()
		used := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			metrics.Read(used)
			debug.SetMemoryLimit(memoryLimit(used[0].Value.Uint64() + used[1].Value.Uint64()))
		}
	}()
}

// memoryLimit is what Go's memory is kept below when so much of it is in use. A limit near that would have the collector run
// without end.
func memoryLimit(used uint64) int64 { return max(smallMemory, 2*int64(used)) }

// useAllProcessors lets as many goroutines run as there are processors while one more waits for the disk: to Go, whoever is in
// a system call runs, for as long as a sync takes. A limit that is changed later is not followed any more. Who sets GOMAXPROCS
// has decided otherwise.
func useAllProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
