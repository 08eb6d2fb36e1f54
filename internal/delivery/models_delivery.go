package delivery

import "belfry/internal/drf"

// The states of a delivery. The last three are settled.
const (
	StatePending   = "pending"   // waits for its first or next attempt, or for its transport to be enabled
	StateSending   = "sending"   // an attempt is under way
	StateDelivered = "delivered" // the receiver took it
	StateDead      = "dead"      // given up; it can be sent again by hand
	StateCancelled = "cancelled" // nobody wants it any more, or it cannot be sent at all
)

var states = &drf.Choices{
	Name:   "DeliveryStateEnum",
	Values: []string{StatePending, StateSending, StateDelivered, StateDead, StateCancelled},
}

// Delivery is one message on its way: what a rule, or a test, sends to one recipient by one transport because
// of one event. Times are UTC microseconds; Due and the lease go by the worker's clock, which is the machine's
// except that it does not jump.
type Delivery struct {
	PK      string
	EventPK string
	RulePK  *string // nil for a test of the transport
	// The names are those of when the event was written.
	RuleName, TransportName, Username string
	TransportPK                       string
	UserPK                            int64
	Mode                              string // [ModeWebhook], [ModeSlack] or [ModeEmail]
	State                             string
	Reason                            string // why the last attempt failed or none is made; "" for none
	Severity                          string
	Summary                           string // the readable sentence
	// Body is what is sent, the same at every attempt; of an e-mail its parts as JSON. "" where making it failed.
	Body     string
	Created  int64
	Attempts int64  // made in all
	Step     int64  // attempts made of the schedule that runs
	Due      *int64 // when the next attempt is made; 0 for at once, nil once settled
	Settled  *int64
}

// Attempt is one try to send a delivery.
type Attempt struct {
	DeliveryPK string
	Number     int64 // from 1
	Started    int64 // UTC microseconds
	Duration   int64 // microseconds
	Status     int64 // of the HTTP answer; 0 for none
	Error      string
	Answer     string   // the beginning of the answer, valid UTF-8 without NUL
	Headers    drf.JSON // those sent, as an object; null in place of a value that may be a secret
}
