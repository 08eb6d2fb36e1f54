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

// ratio is one number of a row against the same of another. It is taken in each run, of what that run has measured of both, because a
// machine may be faster for minutes than it is for others; the ratio is the median of these. ok is false where one was not measured.
func ratio(r, other *row, of func(sample) float64) (times float64, ok bool) {
	if r == nil || other == nil {
		return 0, false
	}
	ratios := make([]float64, min(len(r.samples), len(other.samples)))
	for i := range ratios {
		ratios[i] = of(r.samples[i]) / of(other.samples[i]) // of what has been measured nothing is 0
	}
	if len(ratios) == 0 {
		return 0, false
	}
	return middleOf(ratios), true
}

// middle is the median of one number of the samples.
func middle(samples []sample, number func(sample) float64) float64 {
	all := make([]float64, len(samples))
	for i, s := range samples {
		all[i] = number(s)
	}
	return middleOf(all)
}

// middleOf is the median of some numbers, which it sorts; of an even count the mean of the two in the middle.
func middleOf(all []float64) float64 {
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
