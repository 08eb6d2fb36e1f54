package main

import (
	"math"
	"slices"
	"time"
)

// sample is the outcome of one measurement. Times travel as nanoseconds between the processes.
type sample struct {
	Rate          float64 // a second
	P50, P95, P99 time.Duration
	Answers       int     // all that came
	Load, Server  float64 // how many processors the load generator and the server used
	RSS           int64   // what the server had in memory afterwards, bytes
	Value         float64 // of a row with a unit: the only figure
	Wrong         string  // what the first wrong answer was; "" for none
}

// summarise makes a sample of the times that all of it took within so long a time. It sorts the times.
func summarise(times []time.Duration, took time.Duration) sample {
	slices.Sort(times)
	return sample{Rate: float64(len(times)) / took.Seconds(),
		P50: percentile(times, 50), P95: percentile(times, 95), P99: percentile(times, 99)}
}

// percentile is the smallest of the sorted times that p percent of them do not exceed; 0 of none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median takes each number of the samples by itself; there is at least one sample.
func median(samples []sample) sample {
	duration := func(of func(sample) time.Duration) time.Duration {
		return time.Duration(middle(samples, func(s sample) float64 { return float64(of(s)) }))
	}
	return sample{
		Rate:   middle(samples, func(s sample) float64 { return s.Rate }),
		P50:    duration(func(s sample) time.Duration { return s.P50 }),
		P95:    duration(func(s sample) time.Duration { return s.P95 }),
		P99:    duration(func(s sample) time.Duration { return s.P99 }),
		Load:   middle(samples, func(s sample) float64 { return s.Load }),
		Server: middle(samples, func(s sample) float64 { return s.Server }),
		RSS:    int64(middle(samples, func(s sample) float64 { return float64(s.RSS) })),
		Value:  middle(samples, func(s sample) float64 { return s.Value }),
	}
}

// middle is the median of one number of the samples; of an even count the mean of the two in the middle.
func middle(samples []sample, number func(sample) float64) float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = number(s)
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
