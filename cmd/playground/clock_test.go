package main

import (
	"testing"
	"time"
)

func TestClockRunsFasterAndNeverBack(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	real := start
	c := newClock(func() time.Time { return real }, time.Time{})
	at := func(want time.Time) {
		t.Helper()
		if got := c.Now(); !got.Equal(want) {
			t.Errorf("the clock shows %v, want %v", got, want)
		}
	}
	real = real.Add(10 * time.Second)
	at(start.Add(10 * time.Second))
	c.setRate(60)
	at(start.Add(10 * time.Second))
	real = real.Add(time.Second)
	at(start.Add(70 * time.Second))
	c.leap(start.Add(time.Hour))
	at(start.Add(time.Hour))
	c.leap(start)
	at(start.Add(time.Hour))
	c.setRate(1)
	real = real.Add(time.Second)
	at(start.Add(time.Hour + time.Second))
	if got := newClock(func() time.Time { return real }, start.AddDate(-1, 0, 0)).Now(); !got.Equal(start.AddDate(-1, 0, 0)) {
		t.Errorf("a clock set to the year before shows %v", got)
	}
	if r := c.read(); r.Leaps != 4 || r.Rate != 1 {
		t.Errorf("read gives %+v", r)
	}
}
