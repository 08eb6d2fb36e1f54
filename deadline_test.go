package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestADeadlineEndsARequestWhoeverLooks(t *testing.T) {
	type name struct{}
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			name   string
			begin  func(ctx context.Context)
			parent time.Duration // after which the client hangs up
			want   error
		}{
			{"nobody waits", func(context.Context) {}, time.Hour, context.DeadlineExceeded},
			{"somebody waits from the beginning", func(ctx context.Context) { ctx.Done() }, time.Hour, context.DeadlineExceeded},
			{"the client hangs up, and nobody waits", func(context.Context) {}, time.Second, context.Canceled},
			{"the client hangs up, and somebody waits", func(ctx context.Context) { ctx.Done() }, time.Second, context.Canceled},
		} {
			parent, hangUp := context.WithCancel(context.WithValue(t.Context(), name{}, "Ann"))
			d := withDeadline(parent, requestTime)
			test.begin(d)
			child, stop := context.WithCancel(d) // as whatever a handler calls makes one
			if d.Err() != nil || child.Err() != nil || child.Value(name{}) != "Ann" {
				t.Errorf("%s: it begins with %v and %v", test.name, d.Err(), child.Value(name{}))
			}
			if at, ok := child.Deadline(); !ok || !at.Equal(time.Now().Add(requestTime)) {
				t.Errorf("%s: the deadline is %v", test.name, at)
			}
			time.AfterFunc(test.parent, hangUp)
			time.Sleep(min(test.parent, requestTime))
			synctest.Wait()
			if d.Err() != test.want || child.Err() != test.want {
				t.Errorf("%s: it ends with %v, and what was made of it with %v", test.name, d.Err(), child.Err())
			}
			<-d.Done()
			stop()
			d.release()
			hangUp()
		}
	})
}

func TestADeadlineIsNoLongerThanThatOfTheRequestItself(t *testing.T) {
	parent, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	d := withDeadline(parent, requestTime)
	defer d.release()
	want, _ := parent.Deadline()
	if at, ok := d.Deadline(); !ok || !at.Equal(want) {
		t.Errorf("the deadline is %v and not %v", at, want)
	}
	select {
	case <-d.Done():
		t.Error("it has ended")
	default:
	}
	d.release()
	if d.Err() != context.Canceled {
		t.Errorf("released it is %v", d.Err())
	}
}
