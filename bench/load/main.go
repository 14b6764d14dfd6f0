// Command load sends one request again and again over a fixed number of kept-alive connections,
// and prints what it measured as one JSON object.
//
// The key comes from the variable BENCH_KEY, so that no argument list holds it.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// Result is what one run measured; times are microseconds, in no order.
type Result struct {
	Seconds float64 `json:"seconds"`
	Errors  int     `json:"errors"`
	Example string  `json:"example"`
	First   []int64 `json:"first"`
	Total   []int64 `json:"total"`
}

func main() {
	url := flag.String("url", "", "where to send it")
	body := flag.String("body", "", "file with the request's body")
	authority := flag.String("ca", "", "file with the root of the server's certificate")
	connections := flag.Int("connections", 1, "requests at a time")
	duration := flag.Duration("duration", time.Second, "how long")
	flag.Parse()
	payload, err := os.ReadFile(*body)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}

	roots, err := trusted(*authority)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	client := &http.Client{
		Timeout: 60 * time.Second,
		Transport: &http.Transport{
			MaxIdleConnsPerHost: *connections,
			DisableCompression:  true,
			TLSClientConfig:     &tls.Config{RootCAs: roots},
		},
	}
	var result Result
	var mutex sync.Mutex
	var group sync.WaitGroup
	began := time.Now()
	for worker := 0; worker < *connections; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Since(began) < *duration {
				first, total, err := ask(client, *url, payload)
				mutex.Lock()
				if err != nil {
					result.Errors++
					result.Example = err.Error()
				} else {
					result.First = append(result.First, first.Microseconds())
					result.Total = append(result.Total, total.Microseconds())
				}
				mutex.Unlock()
			}
		}()
	}
	group.Wait()
	result.Seconds = time.Since(began).Seconds()
	json.NewEncoder(os.Stdout).Encode(result)
}

// trusted returns the roots of a file, nil without one.
func trusted(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	certificates, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return roots, nil
}

// ask returns the times to the first byte of the answer's body and to its last one.
func ask(client *http.Client, url string, payload []byte) (first, total time.Duration, err error) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return 0, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Anthropic-Version", "2023-06-01")
	request.Header.Set("Authorization", "Bearer "+os.Getenv("BENCH_KEY"))
	began := time.Now()
	response, err := client.Do(request)
	if err != nil {
		return 0, 0, err
	}
	defer response.Body.Close()
	var one [1]byte
	if _, err := io.ReadFull(response.Body, one[:]); err != nil {
		return 0, 0, err
	}
	first = time.Since(began)
	rest, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, 0, err
	}
	total = time.Since(began)
	if response.StatusCode != http.StatusOK {
		return 0, 0, fmt.Errorf("status %d: %.200s", response.StatusCode, rest)
	}
	if !bytes.Contains(rest, []byte("Hello")) || bytes.Contains(rest, []byte("event: error")) {
		return 0, 0, fmt.Errorf("wrong content: %.200s", rest)
	}
	return first, total, nil
}
