// Command standin answers Chat Completions at once, in the shape of Groq's API.
package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
)

const usage = `"usage":{"prompt_tokens":20,"completion_tokens":64,"total_tokens":84,` +
	`"prompt_tokens_details":{"cached_tokens":0}}`

// Parsing the whole request would cost more than the proxies that are measured.
var streamed = regexp.MustCompile(`"stream": ?true`)

func main() {
	chunks := flag.Int("chunks", 64, "pieces of a streamed answer")
	flag.Parse()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)

	http.HandleFunc("/v1/models", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","data":[{"id":"bench","object":"model","created":1,"owned_by":"bench"}]}`)
	})
	whole := completion(*chunks)
	http.HandleFunc("/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !streamed.Match(body) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, whole)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		flusher := w.(http.Flusher)
		for piece := 0; piece < *chunks; piece++ {
			io.WriteString(w, event(`{"content":"Hello "}`, "null", ""))
			flusher.Flush()
		}
		io.WriteString(w, event(`{}`, `"stop"`, `,"x_groq":{`+usage+`}`))
		io.WriteString(w, "data: [DONE]\n\n")
	})
	if err := http.Serve(listener, nil); err != nil {
		fmt.Fprintln(os.Stderr, "standin:", err)
		os.Exit(1)
	}
}

func completion(words int) string {
	return `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"bench",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"` +
		strings.Repeat("Hello ", words) + `"},"logprobs":null,"finish_reason":"stop"}],` +
		usage + `,"system_fingerprint":"fp_1","service_tier":"on_demand","x_groq":{"id":"req_1"}}`
}

func event(delta, finish, more string) string {
	return `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"bench",` +
		`"system_fingerprint":"fp_1","choices":[{"index":0,"delta":` + delta +
		`,"logprobs":null,"finish_reason":` + finish + `}]` + more + "}\n\n"
}
