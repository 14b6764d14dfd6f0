package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// Sender sends requests, each once: Go's transport would send some of those that died on a
// kept-alive connection again, and hide what was lost. Without GetBody it cannot.
//
// One loss is in HTTP/1.1 itself: a server may close an idle connection in the moment in which the
// client sends on it, and the client cannot know whether its request was read. It is counted like
// any other, and told apart by "reused" in the record.
type Sender struct {
	url     string
	silence time.Duration
	roots   *x509.CertPool
	kept    map[string]*http.Transport
}

// NewSender returns a sender with one pool of connections for each protocol.
func NewSender(options Options, roots *x509.CertPool) *Sender {
	sender := &Sender{url: options.url, silence: options.silence, roots: roots}
	sender.kept = map[string]*http.Transport{"h1": sender.transport("h1"), "h2": sender.transport("h2")}
	return sender
}

func (sender *Sender) transport(protocol string) *http.Transport {
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: sender.roots},
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 100,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
		ForceAttemptHTTP2:   protocol == "h2",
	}
	if protocol == "h1" {
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	return transport
}

// Send sends one request and returns how it ended.
func (sender *Sender) Send(abandon context.Context, request Request, due time.Time) Record {
	record := newRecord(request, due)
	transport := sender.kept[request.protocol]
	if request.connection == "new" {
		// Not by DisableKeepAlives, which tells the server; most clients say nothing and go.
		transport = sender.transport(request.protocol)
		defer transport.CloseIdleConnections()
	}
	patience := newPatience(abandon, sender.silence)
	defer patience.end()
	var sent, reused atomic.Bool
	trace := &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { reused.Store(info.Reused) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { sent.Store(info.Err == nil) },
	}
	post, err := http.NewRequestWithContext(
		httptrace.WithClientTrace(patience.context, trace),
		http.MethodPost, sender.url+request.path, bytes.NewReader(request.body()),
	)
	if err != nil {
		return record.end(failed, err)
	}
	post.GetBody = nil
	post.Header.Set("Content-Type", "application/json")
	post.Header.Set("Anthropic-Version", "2023-06-01")
	post.Header.Set("Authorization", "Bearer "+request.client.token)
	response, err := transport.RoundTrip(post)
	record.Sent, record.Reused = sent.Load(), reused.Load()
	if err != nil {
		return record.end(patience.explain(failed, err))
	}
	defer response.Body.Close()
	record.Status = response.StatusCode
	record.Generation = response.Header.Get("Gateway-Generation")
	body, err := record.read(response.Body, patience)
	switch {
	case response.StatusCode != http.StatusOK:
		record.ErrorType, record.Detail = readError(body)
		record.Outcome = refused
	case err != nil:
		record = record.end(patience.explain(cut, err))
	case request.kind == "tokens":
		record.Outcome, record.Detail = checkCount(body)
	case request.kind == "json":
		record.Outcome, record.Detail = checkJSON(body, request.expected)
	default:
		record.Outcome, record.ErrorType, record.Detail = checkStream(body, request.expected)
	}
	return record
}

// read returns the body and notes when it came.
func (record *Record) read(body io.Reader, patience *patience) ([]byte, error) {
	var whole []byte
	buffer := make([]byte, 32<<10)
	last := time.Now()
	for {
		count, err := body.Read(buffer)
		now := time.Now()
		if count > 0 {
			patience.renew()
			if len(whole) == 0 {
				record.FirstByte = seconds(now)
			} else {
				record.LongestPause = max(record.LongestPause, now.Sub(last).Seconds())
			}
			last = now
			whole = append(whole, buffer[:count]...)
		}
		record.Ended = seconds(now)
		if err == io.EOF {
			return whole, nil
		}
		if err != nil {
			return whole, err
		}
	}
}

func (record Record) end(outcome string, err error) Record {
	record.Outcome, record.Detail, record.Ended = outcome, err.Error(), seconds(time.Now())
	return record
}

var (
	errSilence = errors.New("nothing came for too long")
	errAbandon = errors.New("the generator ended")
)

// patience ends a request that stays silent for too long, or that the generator must abandon.
type patience struct {
	context context.Context
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	silence time.Duration
}

func newPatience(abandon context.Context, silence time.Duration) *patience {
	limited, cancel := context.WithCancelCause(abandon)
	timer := time.AfterFunc(silence, func() { cancel(errSilence) })
	return &patience{limited, cancel, timer, silence}
}

func (patience *patience) renew() { patience.timer.Reset(patience.silence) }

func (patience *patience) end() {
	patience.timer.Stop()
	patience.cancel(nil)
}

// explain returns what a failure is called and why it came.
func (patience *patience) explain(outcome string, err error) (string, error) {
	switch cause := context.Cause(patience.context); cause {
	case nil:
		return outcome, err
	case errAbandon:
		return unfinished, cause
	default:
		return outcome, cause
	}
}
