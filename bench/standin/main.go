// Command standin answers Chat Completions at once, in the shape of Groq's API.
//
// An answer has as many words as the request's max_tokens allows. A streamed one has a piece for
// each of them: all at once, or 2 ms apart for the model bench-paced.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	pause  = 2 * time.Millisecond
	models = `{"object":"list","data":[` +
		`{"id":"bench","object":"model","created":1,"owned_by":"bench"},` +
		`{"id":"bench-paced","object":"model","created":1,"owned_by":"bench"}]}`
)

// Parsing a large request would cost more than the proxies that are measured.
var (
	streamed = regexp.MustCompile(`"stream": ?true`)
	paced    = regexp.MustCompile(`"model": ?"bench-paced"`)
	allowed  = regexp.MustCompile(`"max_tokens": ?([0-9]+)`)
)

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on")
	flag.Parse()
	listener, err := net.Listen("tcp", net.JoinHostPort(*host, "0"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)

	http.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, models)
	})
	http.HandleFunc("/v1/chat/completions", answer)
	if err := http.Serve(listener, nil); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	limit := allowed.FindSubmatch(body)
	if limit == nil {
		http.Error(w, `{"error":{"message":"no max_tokens","type":"invalid_request_error"}}`, 400)
		return
	}
	words, _ := strconv.Atoi(string(limit[1]))
	if !streamed.Match(body) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, completion(words))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	flusher := w.(http.Flusher)
	rest := paced.Match(body)
	for piece := 0; piece < words; piece++ {
		io.WriteString(w, event(`{"content":"Hello "}`, "null", ""))
		flusher.Flush()
		if rest {
			time.Sleep(pause)
		}
	}
	io.WriteString(w, event(`{}`, `"stop"`, `,"x_groq":{`+usage(words)+`}`))
	io.WriteString(w, "data: [DONE]\n\n")
}

func completion(words int) string {
	return `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("Hello ", words) + `"},"logprobs":null,"finish_reason":"stop"}],` +
		usage(words) +
		`,"system_fingerprint":"fp_1","service_tier":"on_demand","x_groq":{"id":"req_1"}}`
}

func usage(words int) string {
	return fmt.Sprintf(`"usage":{"prompt_tokens":20,"completion_tokens":%d,"total_tokens":%d,`+
		`"prompt_tokens_details":{"cached_tokens":0}}`, words, words+20)
}

func event(delta, finish, more string) string {
	return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench",` +
		`"system_fingerprint":"fp_1","choices":[{"index":0,"delta":` + delta +
		`,"logprobs":null,"finish_reason":` + finish + `}]` + more + "}\n\n"
}
