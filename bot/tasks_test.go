package bot

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// full makes tasks whose slots for answers are all taken until free is closed.
func full(t *testing.T) (all *Tasks, free chan struct{}) {
	t.Helper()
	all, free = NewTasks(), make(chan struct{})
	for range answerSlots {
		if !all.Answer(false, time.Minute, func(context.Context) { <-free }) {
			t.Fatal("there is no slot although none was taken")
		}
	}
	return all, free
}

// TestBurstIsAnsweredWhenThereIsRoom: a crowd that clicks at once is more than there are slots, and quickly answered all
// the same.
func TestBurstIsAnsweredWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, free := full(t)
		began := time.Now()
		time.AfterFunc(300*time.Millisecond, func() { close(free) })
		left := make(chan time.Duration, 1)
		if !all.Answer(false, 700*time.Millisecond, func(ctx context.Context) {
			deadline, _ := ctx.Deadline()
			left <- deadline.Sub(began)
		}) {
			t.Fatal("refused although a slot was free in time")
		}
		if got := <-left; got != 700*time.Millisecond {
			t.Errorf("the wait for a slot and the answer may take %s together", got)
		}
		all.Stop()
	})
}

func TestNobodyWaitsLongForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, free := full(t)
		began := time.Now()
		if all.Answer(false, 700*time.Millisecond, func(context.Context) { t.Error("run without a slot") }) || time.Since(began) != 350*time.Millisecond {
			t.Errorf("not refused, or after %s", time.Since(began))
		}
		close(free)
		all.Stop()
		if all.Answer(false, time.Second, func(context.Context) { t.Error("run after the stop") }) || len(all.answers) != 0 {
			t.Errorf("not refused after the stop, or %d slots were kept", len(all.answers))
		}
	})
}

// TestWhatDecidesHasRoomOfItsOwn: however many ask.
func TestWhatDecidesHasRoomOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all, free := full(t)
		began, done := time.Now(), make(chan struct{})
		if !all.Answer(true, time.Second, func(context.Context) { close(done) }) {
			t.Fatal("refused")
		}
		<-done
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited for %s", took)
		}
		close(free)
		all.Stop()
	})
}
