package main

import (
	"sync"
	"time"
)

// clock is the time that everything in the playground lives by: it can run faster than the real one and jump ahead, and
// never goes back.
type clock struct {
	real func() time.Time

	mu    sync.Mutex
	at    time.Time // the playground's time when it was last set
	since time.Time // the real time at that moment
	rate  int
	leaps int // counts changes, for watchers
}

// newClock starts at a time, zero for the real one, and runs at the pace of the real one.
func newClock(real func() time.Time, at time.Time) *clock {
	now := real()
	if at.IsZero() {
		at = now
	}
	return &clock{real: real, at: at.Round(0).UTC(), since: now, rate: 1}
}

// Now is the playground's time, in UTC.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *clock) now() time.Time {
	return c.at.Add(c.real().Sub(c.since) * time.Duration(c.rate))
}

// setRate makes time pass so many times as fast as it really does.
func (c *clock) setRate(rate int) {
	c.change(func(now time.Time) time.Time {
		c.rate = rate
		return now
	})
}

// leap moves ahead to a moment; one that is past is left alone.
func (c *clock) leap(to time.Time) {
	c.change(func(now time.Time) time.Time {
		if to.After(now) {
			return to.Round(0).UTC()
		}
		return now
	})
}

func (c *clock) change(f func(now time.Time) time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.since = c.real()
	c.at = f(now)
	c.leaps++
}

// reading is the clock as the page sees it. Leaps tells one setting from the next.
type reading struct {
	Now   time.Time `json:"now"`
	Rate  int       `json:"rate"`
	Leaps int       `json:"leaps"`
}

func (c *clock) read() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return reading{Now: c.now(), Rate: c.rate, Leaps: c.leaps}
}
