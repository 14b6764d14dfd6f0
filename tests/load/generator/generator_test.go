package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

const stream = `event: message_start
data: {"type":"message_start","message":{}}

event: content_block_delta
data: {"type":"content_block_delta","delta":{"type":"text_delta","text":%s}}

`

const streamEnd = `event: message_delta
data: {"type":"message_delta","delta":{},"usage":{"output_tokens":3}}

event: message_stop
data: {"type":"message_stop"}

`

func message(request *http.Request) string {
	var body struct{ Messages []struct{ Content string } }
	json.NewDecoder(request.Body).Decode(&body)
	return body.Messages[0].Content
}

func answer(message string) string {
	text, _ := json.Marshal("You said: “" + message + "”. Somebody: no model was asked.")
	return string(text)
}

func hang(writer http.ResponseWriter) {
	writer.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// serve starts a server and returns what sends requests to it.
func serve(t *testing.T, handler http.HandlerFunc) (*Sender, *httptest.Server) {
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return NewSender(Options{url: server.URL, silence: 500 * time.Millisecond}, roots), server
}

func plan(kind, connection, protocol string, number int) Request {
	options := Options{
		run:         "test",
		kinds:       Mix{{kind, 1}},
		connections: Mix{{connection, 1}},
		protocols:   Mix{{protocol, 1}},
		models:      Mix{{"model", 1}},
		chunk:       100 * time.Millisecond,
		shortest:    time.Second,
		longest:     time.Second,
	}
	return Plan(options, []Client{{"alice", "token"}}, number)
}

func TestEveryEndOfARequestHasItsName(t *testing.T) {
	cases := []struct {
		name, kind, outcome, errorType string
		handler                        http.HandlerFunc
	}{
		{"whole", "json", ok, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"content":[{"type":"text","text":%s}],"usage":{"output_tokens":3}}`, answer(message(r)))
		}},
		{"another's answer", "json", wrong, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"content":[{"type":"text","text":%s}],"usage":{"output_tokens":3}}`, answer("else"))
		}},
		{"no usage", "json", wrong, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, `{"content":[{"type":"text","text":%s}]}`, answer(message(r)))
		}},
		{"count", "tokens", ok, "", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v1/messages/count_tokens" {
				fmt.Fprint(w, `{"input_tokens":7}`)
			}
		}},
		{"no count", "tokens", wrong, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"input_tokens":0}`)
		}},
		{"whole stream", "stream", ok, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream+streamEnd, answer(message(r)))
		}},
		{"ten words", "long", ok, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream+streamEnd, `"the quick brown fox jumps over the lazy dog while"`)
		}},
		{"nine words", "long", wrong, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream+streamEnd, `"the quick brown fox jumps over the lazy dog"`)
		}},
		{"properly closed, not ended", "stream", cut, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream, answer(message(r)))
		}},
		{"connection lost", "stream", cut, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream, answer(message(r)))
			hang(w)
		}},
		{"error event", "stream", cut, "overloaded_error", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream, answer(message(r)))
			fmt.Fprint(w, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n")
		}},
		{"events after the end", "stream", wrong, "", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, stream+streamEnd+streamEnd, answer(message(r)))
		}},
		{"no answer", "json", failed, "", func(w http.ResponseWriter, r *http.Request) {
			panic(http.ErrAbortHandler)
		}},
		{"silence", "json", failed, "", func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(5 * time.Second):
			}
		}},
		{"Anthropic's error", "json", refused, "api_error", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, `{"type":"error","error":{"type":"api_error","message":"m"}}`)
		}},
		{"an error page", "json", refused, "", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(502)
			fmt.Fprint(w, `<html>`)
		}},
	}
	for _, protocol := range []string{"h1", "h2"} {
		for _, test := range cases {
			t.Run(protocol+" "+test.name, func(t *testing.T) {
				sender, _ := serve(t, test.handler)
				record := sender.Send(context.Background(), plan(test.kind, "new", protocol, 1), time.Now())
				if record.Outcome != test.outcome || record.ErrorType != test.errorType {
					t.Fatalf("%s %q: %s", record.Outcome, record.ErrorType, record.Detail)
				}
			})
		}
	}
}

func TestARequestThatDiesOnAKeptConnectionIsNotSentAgain(t *testing.T) {
	var asked atomic.Int32
	sender, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, `{"content":[{"type":"text","text":%s}],"usage":{"output_tokens":3}}`, answer(message(r)))
	})
	first := sender.Send(context.Background(), plan("json", "kept", "h1", 1), time.Now())
	second := sender.Send(context.Background(), plan("json", "kept", "h1", 2), time.Now())
	if first.Outcome != ok || second.Outcome != failed || !second.Reused || !second.Sent || asked.Load() != 2 {
		t.Fatalf("%+v\n%+v\nasked %d times", first, second, asked.Load())
	}
}

func TestTheRateDoesNotWaitForAnswers(t *testing.T) {
	sender, server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(300 * time.Millisecond)
		fmt.Fprintf(w, `{"content":[{"type":"text","text":%s}],"usage":{"output_tokens":3}}`, answer(message(r)))
	})
	options := Options{
		url: server.URL, run: "test", rate: 50, count: 20, duration: time.Minute, grace: time.Minute, open: 12,
		kinds: Mix{{"json", 1}}, connections: Mix{{"kept", 1}}, protocols: Mix{{"h2", 1}}, models: Mix{{"m", 1}},
	}
	records := make(chan Record, options.count)
	schedule(options, []Client{{"alice", "token"}}, sender, records)
	close(records)
	counts := map[string]int{}
	for record := range records {
		counts[record.Outcome]++
		if record.Intended == 0 || record.Ended < record.Intended {
			t.Errorf("%+v", record)
		}
	}
	// Twelve are sent before the first answer comes, so some find all places taken.
	if counts[ok]+counts[overflow] != options.count || counts[overflow] == 0 || counts[ok] < options.open {
		t.Fatal(counts)
	}
}
