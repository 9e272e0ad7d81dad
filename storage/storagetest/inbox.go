package storagetest

import (
	"fmt"
	"time"

	"elevate/workflows"
)

func inboxChecks() []check {
	return []check{
		{name: "DeliveryIsFreshOnce", run: deliveryIsFreshOnce},
		{name: "DeliveryIsRememberedForADay", hours: true, run: deliveryIsRememberedForADay},
		{name: "DeliveryIsExclusive", run: deliveryIsExclusive},
		{name: "WorkedDeliveryIsGone", run: workedDeliveryIsGone},
		{name: "DeliveryLimits", run: deliveryLimits},
	}
}

func (e *env) deliver(key string, payload string) bool {
	e.Helper()
	fresh, err := e.Deliver(e.Context(), workflows.Delivery{Key: key, Chat: "slack", Payload: []byte(payload)})
	e.ok(err, "deliver")
	return fresh
}

func (e *env) deliveries(limit int) []workflows.Delivery {
	e.Helper()
	got, _, err := e.ClaimDeliveries(e.Context(), "slack", limit, lease)
	e.ok(err, "claim deliveries")
	return got
}

func deliveryIsFreshOnce(e *env) {
	payload := "a\x00\xff{}"
	want(e, "first delivery", e.deliver("k", payload), true)
	want(e, "second delivery", e.deliver("k", "other"), false)
	other, err := e.Deliver(e.Context(), workflows.Delivery{Key: "k", Chat: "teams", Payload: []byte("teams")})
	e.ok(err, "deliver")
	want(e, "the same key in another chat", other, true)
	got := e.deliveries(10)
	if len(got) != 1 {
		e.Fatalf("%d deliveries, want 1", len(got))
	}
	want(e, "payload", string(got[0].Payload), payload)
	want(e, "key", got[0].Key, "k")
	want(e, "chat", got[0].Chat, "slack")
	want(e, "tries", got[0].Tries, 0)
	want(e, "delivery while it is worked", e.deliver("k", payload), false)
	e.ok(e.Worked(e.Context(), got[0]), "worked")
	want(e, "delivery after it was worked", e.deliver("k", payload), false)
}

func deliveryIsRememberedForADay(e *env) {
	e.deliver("worked", "x")
	e.ok(e.Worked(e.Context(), e.deliveries(1)[0]), "worked")
	e.deliver("waiting", "x")
	e.pass(24*time.Hour - time.Second)
	want(e, "delivery after almost a day", e.deliver("worked", "x"), false)
	e.pass(2 * time.Second)
	want(e, "delivery after a day", e.deliver("worked", "x"), true)
	want(e, "delivery of what still waits after a day", e.deliver("waiting", "x"), false)
}

func deliveryIsExclusive(e *env) {
	e.deliver("k", "x")
	first := e.deliveries(10)
	want(e, "deliveries", len(first), 1)
	want(e, "deliveries while it is leased", len(e.deliveries(10)), 0)
	e.clock.Advance(lease)
	second := e.deliveries(10)
	if len(second) != 1 {
		e.Fatalf("%d deliveries after the lease, want 1", len(second))
	}
	want(e, "tries", second[0].Tries, 1)
	if second[0].Fence <= first[0].Fence {
		e.Errorf("the fence went from %d to %d", first[0].Fence, second[0].Fence)
	}
}

func workedDeliveryIsGone(e *env) {
	e.deliver("k", "x")
	lost := e.deliveries(10)[0]
	e.clock.Advance(lease)
	e.deliveries(10)
	e.ok(e.Worked(e.Context(), lost), "worked with a lost lease")
	e.ok(e.Worked(e.Context(), lost), "worked again")
	e.clock.Advance(lease)
	got, next, err := e.ClaimDeliveries(e.Context(), "slack", 10, lease)
	e.ok(err, "claim deliveries")
	want(e, "deliveries after it was worked", len(got), 0)
	want(e, "nothing is next", next.IsZero(), true)
}

func deliveryLimits(e *env) {
	const deliveries = 30
	for i := range deliveries {
		e.deliver(fmt.Sprintf("k%d", i), "x")
	}
	seen := map[string]bool{}
	for _, limit := range []int{1, 7, 100} {
		got := e.deliveries(limit)
		want(e, "deliveries", len(got), min(limit, deliveries-len(seen)))
		for _, d := range got {
			seen[d.Key] = true
		}
	}
	want(e, "deliveries handed out", len(seen), deliveries)
}
