package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Share is a name and its weight.
type Share struct {
	name   string
	weight float64
}

// Mix chooses among names by their weights; it is a flag.Value.
type Mix []Share

func (mix *Mix) String() string {
	parts := make([]string, 0, len(*mix))
	for _, share := range *mix {
		parts = append(parts, fmt.Sprintf("%s=%g", share.name, share.weight))
	}
	return strings.Join(parts, ",")
}

// Set reads name=weight pairs separated by commas; a name alone has the weight 1.
func (mix *Mix) Set(text string) error {
	var shares Mix
	for _, part := range strings.Split(text, ",") {
		name, number, found := strings.Cut(part, "=")
		weight := 1.0
		if found {
			parsed, err := strconv.ParseFloat(number, 64)
			if err != nil || parsed < 0 {
				return fmt.Errorf("%q is no weight", number)
			}
			weight = parsed
		}
		shares = append(shares, Share{name, weight})
	}
	*mix = shares
	return nil
}

func (mix Mix) choose(source *rand.Rand) string {
	total := 0.0
	for _, share := range mix {
		total += share.weight
	}
	left := source.Float64() * total
	for _, share := range mix {
		if left < share.weight {
			return share.name
		}
		left -= share.weight
	}
	return mix[len(mix)-1].name
}

// Client is who asks.
type Client struct {
	name  string
	token string
}

func readTokens(text string) ([]Client, error) {
	var tokens map[string]string
	if err := json.Unmarshal([]byte(text), &tokens); err != nil || len(tokens) == 0 {
		return nil, errors.New("LOAD_TOKENS must be a JSON object of tokens by client name")
	}
	clients := make([]Client, 0, len(tokens))
	for name, token := range tokens {
		clients = append(clients, Client{name, token})
	}
	sort.Slice(clients, func(a, b int) bool { return clients[a].name < clients[b].name })
	return clients, nil
}

// Request is one request to be sent, and what its answer must be.
type Request struct {
	id         string
	kind       string
	connection string
	protocol   string
	path       string
	model      string
	client     Client
	message    string
	maxTokens  int
	expected   Expectation
}

// Plan returns request number of a run, always the same for the same run.
func Plan(options Options, clients []Client, number int) Request {
	source := rand.New(rand.NewSource(int64(number) + 1))
	request := Request{
		id:         fmt.Sprintf("%s-%d", options.run, number),
		kind:       options.kinds.choose(source),
		connection: options.connections.choose(source),
		protocol:   options.protocols.choose(source),
		model:      options.models.choose(source),
		client:     clients[number%len(clients)],
		path:       "/v1/messages",
		maxTokens:  1000,
	}
	request.message = fmt.Sprintf("This is request %s.", request.id)
	request.expected = quoting(request.message)
	switch request.kind {
	case "tokens":
		request.path += "/count_tokens"
		request.maxTokens = 0
	case "long":
		words := int(length(options, source) / options.chunk)
		request.message += fmt.Sprintf(" [demo:words=%d]", words)
		request.maxTokens += words
		request.expected = filler(words)
	}
	if options.marker != "" {
		request.message += " " + options.marker
	}
	return request
}

// length draws from all lengths, mostly near the shortest: a change waits for the last open stream.
func length(options Options, source *rand.Rand) time.Duration {
	spread := float64(options.longest - options.shortest)
	return options.shortest + time.Duration(spread*math.Pow(source.Float64(), 16))
}

// body is what is sent; what counts tokens takes neither a limit nor a way to answer.
func (request Request) body() []byte {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	text, err := json.Marshal(struct {
		Model     string    `json:"model"`
		MaxTokens int       `json:"max_tokens,omitempty"`
		Stream    bool      `json:"stream,omitempty"`
		Messages  []message `json:"messages"`
	}{request.model, request.maxTokens, request.kind == "stream" || request.kind == "long", []message{{"user", request.message}}})
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return text
}
