package main

import (
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// TestTheMemoryLimitNeverComesNearWhatIsInUse because the collector would run without end.
func TestTheMemoryLimitNeverComesNearWhatIsInUse(t *testing.T) {
	for used, want := range map[uint64]int64{0: smallMemory, smallMemory / 4: smallMemory, smallMemory / 2: smallMemory, smallMemory: 2 * smallMemory, 1 << 30: 2 << 30} {
		if got := memoryLimit(used); got != want {
			t.Errorf("%d bytes are in use, and the limit is %d, not %d", used, got, want)
		}
	}
}

func TestTheMemoryLimitFollowsWhatIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	t.Setenv("GOMEMLIMIT", "")
	percent, limit := debug.SetGCPercent(100), debug.SetMemoryLimit(-1)
	defer func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) }()
	synctest.Test(t, func(t *testing.T) {
		keepMemorySmall(t.Context())
		held := make([]byte, smallMemory)
		runtime.GC()
		time.Sleep(2 * memoryInterval)
		synctest.Wait()
		if got := debug.SetMemoryLimit(-1); got < 2*smallMemory {
			t.Errorf("%d bytes are in use, and the limit is %d", len(held), got)
		}
		runtime.KeepAlive(held)
	})
}

func TestWhoSetsTheCollectorIsLeftAlone(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv("GOGC", "")
		t.Setenv("GOMEMLIMIT", "")
		t.Setenv(name, "100")
		percent := debug.SetGCPercent(77)
		keepMemorySmall(t.Context())
		if got := debug.SetGCPercent(percent); got != 77 {
			t.Errorf("with %s it was set to %d", name, got)
		}
	}
}

func TestOneProcessorMoreThanThereAreIsForTheDisk(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(before)
	t.Setenv("GOMAXPROCS", "")
	useAllProcessors()
	if got := runtime.GOMAXPROCS(before); got != before+1 {
		t.Errorf("there are %d processors, and %d are used", before, got)
	}
	t.Setenv("GOMAXPROCS", "1")
	useAllProcessors()
	if got := runtime.GOMAXPROCS(0); got != before {
		t.Errorf("who has set it gets %d and not %d", got, before)
	}
}
