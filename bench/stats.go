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
	Wrong         string // what the first wrong answer was; "" for none
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
	return sample{
		Rate: middle(samples, func(s sample) float64 { return s.Rate }),
		P50:  time.Duration(middle(samples, func(s sample) float64 { return float64(s.P50) })),
		P95:  time.Duration(middle(samples, func(s sample) float64 { return float64(s.P95) })),
		P99:  time.Duration(middle(samples, func(s sample) float64 { return float64(s.P99) })),
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
