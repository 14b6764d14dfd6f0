package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

var fillerWords = strings.Fields(
	"the quick brown fox jumps over the lazy dog while everyone else keeps working",
)

// Expectation is what the text of an answer must be: how it begins, and how it ends.
type Expectation struct {
	start string
	end   string
	whole bool
}

// quoting expects the demo upstream's answer to a message without markers.
func quoting(message string) Expectation {
	return Expectation{start: "You said: “" + message + "”.", end: ": no model was asked."}
}

// filler expects the demo upstream's answer of a number of words.
func filler(words int) Expectation {
	text := make([]string, words)
	for index := range text {
		text[index] = fillerWords[index%len(fillerWords)]
	}
	return Expectation{start: strings.Join(text, " "), whole: true}
}

func (expected Expectation) judge(text string) (outcome, detail string) {
	if expected.whole && text == expected.start {
		return ok, ""
	}
	if !expected.whole && strings.HasPrefix(text, expected.start) &&
		strings.HasSuffix(text, expected.end) {
		return ok, ""
	}
	return wrong, fmt.Sprintf("%d characters: %.120q", len(text), text)
}

type block struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type usage struct {
	OutputTokens int `json:"output_tokens"`
}

// Problem is an error in Anthropic's shape.
type Problem struct {
	Type  string `json:"type"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
}

func readError(body []byte) (kind, detail string) {
	var problem Problem
	if json.Unmarshal(body, &problem) == nil && problem.Type == "error" && problem.Error.Message != "" {
		return problem.Error.Type, problem.Error.Message
	}
	return "", fmt.Sprintf("%.200s", body)
}

func checkJSON(body []byte, expected Expectation) (outcome, detail string) {
	var message struct {
		Content []block `json:"content"`
		Usage   usage   `json:"usage"`
	}
	if err := json.Unmarshal(body, &message); err != nil {
		return wrong, err.Error()
	}
	if message.Usage.OutputTokens == 0 {
		return wrong, "no usage"
	}
	text := ""
	for _, part := range message.Content {
		if part.Type == "text" {
			text += part.Text
		}
	}
	return expected.judge(text)
}

func checkCount(body []byte) (outcome, detail string) {
	var count struct {
		InputTokens int `json:"input_tokens"`
	}
	if json.Unmarshal(body, &count) != nil || count.InputTokens == 0 {
		return wrong, fmt.Sprintf("%.120q", body)
	}
	return ok, ""
}

type event struct {
	Type  string `json:"type"`
	Delta block  `json:"delta"`
	Usage usage  `json:"usage"`
}

// checkStream judges the whole text of an event stream. One that ends in an error event, or before
// its last event, was cut, however properly the connection ended.
func checkStream(body []byte, expected Expectation) (outcome, kind, detail string) {
	text, tokens, last := "", 0, ""
	if !bytes.HasSuffix(body, []byte("\n\n")) {
		return cut, "", "the last event is not whole"
	}
	for number, lines := range strings.Split(strings.TrimSuffix(string(body), "\n\n"), "\n\n") {
		name, data, err := fields(lines)
		if err != nil {
			return wrong, "", err.Error()
		}
		var current event
		if err := json.Unmarshal([]byte(data), &current); err != nil {
			return wrong, "", err.Error()
		}
		if current.Type != name {
			return wrong, "", fmt.Sprintf("event %q holds %q", name, current.Type)
		}
		if name == "error" {
			kind, detail = readError([]byte(data))
			return cut, kind, detail
		}
		if number == 0 && name != "message_start" || last == "message_stop" {
			return wrong, "", fmt.Sprintf("%q after %q", name, last)
		}
		switch {
		case current.Delta.Type == "text_delta":
			text += current.Delta.Text
		case name == "message_delta":
			tokens = current.Usage.OutputTokens
		}
		last = name
	}
	if last != "message_stop" {
		return cut, "", fmt.Sprintf("ended after %q", last)
	}
	if tokens == 0 {
		return wrong, "", "no usage"
	}
	outcome, detail = expected.judge(text)
	return outcome, "", detail
}

func fields(lines string) (name, data string, err error) {
	for _, line := range strings.Split(lines, "\n") {
		field, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimPrefix(value, " "); field {
		case "event":
			name = value
		case "data":
			data += value
		case "", "id", "retry":
		default:
			return "", "", fmt.Errorf("not a line of an event: %.80q", line)
		}
	}
	return name, data, nil
}
