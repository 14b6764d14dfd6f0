package main

import "time"

// How a request ended.
const (
	ok         = "ok"
	failed     = "failed_before_first_byte" // no answer at all
	refused    = "refused"                  // an answer with another status than 200
	cut        = "cut"                      // an answer that began well and did not end
	wrong      = "wrong_content"            // a whole answer, but not to this request
	overflow   = "not_sent"                 // too many were open
	unfinished = "abandoned"                // still open when the generator had to end
)

// Record is one request that ended; times are seconds since 1970, zero for what never happened.
type Record struct {
	ID         string  `json:"id"`
	Kind       string  `json:"kind"`
	Protocol   string  `json:"protocol"`
	Connection string  `json:"connection"`
	Client     string  `json:"client"`
	Model      string  `json:"model"`
	Intended   float64 `json:"intended"`
	Started    float64 `json:"started"`
	FirstByte  float64 `json:"first_byte"`
	Ended      float64 `json:"ended"`
	// LongestPause is the longest time between two reads of the answer, in seconds.
	LongestPause float64 `json:"longest_pause"`
	Outcome      string  `json:"outcome"`
	Status       int     `json:"status"`
	// ErrorType is Anthropic's, empty where the body was not in Anthropic's shape.
	ErrorType  string `json:"error_type"`
	Detail     string `json:"detail"`
	Generation string `json:"generation"`
	// Reused tells that the connection had served a request before.
	Reused bool `json:"reused"`
	// Sent tells that the request left this process whole.
	Sent bool `json:"sent"`
}

func newRecord(request Request, due time.Time) Record {
	return Record{
		ID:         request.id,
		Kind:       request.kind,
		Protocol:   request.protocol,
		Connection: request.connection,
		Client:     request.client.name,
		Model:      request.model,
		Intended:   seconds(due),
		Started:    seconds(time.Now()),
	}
}

func overloaded(request Request, due time.Time) Record {
	record := newRecord(request, due)
	record.Outcome, record.Ended = overflow, record.Started
	return record
}

func seconds(when time.Time) float64 {
	return float64(when.UnixMicro()) / 1e6
}
