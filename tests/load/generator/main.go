// Command generator sends Messages requests at a fixed rate, whatever the answers take, and writes
// one JSON line for each request that ended.
//
// Tokens come as one JSON object (client name to token) in the variable LOAD_TOKENS, so that no
// argument list holds one. It ends by itself after -count requests or -for, and on SIGINT lets open
// requests finish for at most -grace.
package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Options is what the command line says.
type Options struct {
	url         string
	roots       string
	output      string
	run         string
	rate        float64
	count       int
	duration    time.Duration
	grace       time.Duration
	silence     time.Duration
	open        int
	kinds       Mix
	connections Mix
	protocols   Mix
	models      Mix
	marker      string
	chunk       time.Duration
	shortest    time.Duration
	longest     time.Duration
}

func main() {
	if err := run(parse()); err != nil {
		fmt.Fprintln(os.Stderr, "generator:", err)
		os.Exit(1)
	}
}

func parse() Options {
	options := Options{
		kinds:       Mix{{"json", 1}},
		connections: Mix{{"new", 1}, {"kept", 1}},
		protocols:   Mix{{"h1", 1}, {"h2", 1}},
	}
	flag.StringVar(&options.url, "url", "", "address of the gateway")
	flag.StringVar(&options.roots, "ca", "", "file with the roots to trust, PEM")
	flag.StringVar(&options.output, "output", "", "file for the records (default: standard output)")
	flag.StringVar(&options.run, "run", "load", "what every request's id begins with")
	flag.Float64Var(&options.rate, "rate", 10, "requests a second")
	flag.IntVar(&options.count, "count", 1000, "requests at most")
	flag.DurationVar(&options.duration, "for", time.Minute, "time at most, without -grace")
	flag.DurationVar(&options.grace, "grace", 200*time.Second, "what open requests get at the end")
	flag.DurationVar(&options.silence, "silence", 3*time.Minute, "longest time without a byte")
	flag.IntVar(&options.open, "open", 2000, "open requests at most; beyond, they count as failed")
	flag.Var(&options.kinds, "kinds", "shares of json, stream, long and tokens, as json=70,stream=30")
	flag.Var(&options.connections, "connections", "shares of new and kept")
	flag.Var(&options.protocols, "protocols", "shares of h1 and h2")
	flag.Var(&options.models, "models", "shares of models")
	flag.StringVar(&options.marker, "marker", "", "what each message asks of the demo upstream")
	flag.DurationVar(&options.chunk, "chunk", 100*time.Millisecond, "the demo upstream's pace")
	flag.DurationVar(&options.shortest, "shortest", 30*time.Second, "shortest long stream")
	flag.DurationVar(&options.longest, "longest", 120*time.Second, "longest long stream")
	flag.Parse()
	return options
}

func run(options Options) error {
	clients, err := readTokens(os.Getenv("LOAD_TOKENS"))
	if err != nil {
		return err
	}
	if options.rate <= 0 || len(options.models) == 0 {
		return errors.New("-rate must be above 0 and -models must name one")
	}
	roots, err := readRoots(options.roots)
	if err != nil {
		return err
	}
	output := io.Writer(os.Stdout)
	if options.output != "" {
		file, err := os.OpenFile(options.output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		output = file
	}
	records := make(chan Record, 1000)
	written := make(chan error, 1)
	go func() { written <- write(output, records) }()
	schedule(options, clients, NewSender(options, roots), records)
	close(records)
	return <-written
}

// schedule starts each request when it is due and returns when all have ended.
func schedule(options Options, clients []Client, sender *Sender, records chan<- Record) {
	stop, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer release()
	abandon, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	open := make(chan struct{}, options.open)
	var group sync.WaitGroup
	began := time.Now()
	interval := time.Duration(float64(time.Second) / options.rate)
	for number := 0; number < options.count; number++ {
		due := began.Add(time.Duration(number) * interval)
		if due.Sub(began) >= options.duration || !wait(stop, due) {
			break
		}
		request := Plan(options, clients, number)
		select {
		case open <- struct{}{}:
		default:
			records <- overloaded(request, due)
			continue
		}
		group.Add(1)
		go func() {
			defer group.Done()
			records <- sender.Send(abandon, request, due)
			<-open
		}()
	}
	release()
	last := time.AfterFunc(options.grace, func() { cancel(errAbandon) })
	defer last.Stop()
	group.Wait()
}

func wait(stop context.Context, due time.Time) bool {
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return stop.Err() == nil
	case <-stop.Done():
		return false
	}
}

func write(output io.Writer, records <-chan Record) error {
	buffered := bufio.NewWriter(output)
	encoder := json.NewEncoder(buffered)
	var failure error
	for record := range records {
		if failure == nil {
			failure = encoder.Encode(record)
		}
		// The runner reads along, so what is known is shown.
		if failure == nil {
			failure = buffered.Flush()
		}
	}
	return failure
}

func readRoots(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return roots, nil
}
