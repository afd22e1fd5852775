// A conversation and its events over pilotlight's HTTP API, with nothing but the standard library.
//
//	PILOTLIGHT_URL=http://127.0.0.1:3001 PILOTLIGHT_TOKEN=$(pilotlight token) go run talk.go /path/to/project
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// call makes one call of the API; with a body it is a POST. The caller closes what is answered.
func call(path, key string, body any) *http.Response {
	method, sent := http.MethodGet, []byte(nil)
	if body != nil {
		method = http.MethodPost
		sent, _ = json.Marshal(body)
	}
	request, err := http.NewRequest(method, os.Getenv("PILOTLIGHT_URL")+path, bytes.NewReader(sent))
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+os.Getenv("PILOTLIGHT_TOKEN"))
	request.Header.Set("Content-Type", "application/json")
	if key != "" { // a repeat under the same key does nothing twice
		request.Header.Set("Idempotency-Key", key)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	if answer.StatusCode >= 400 {
		var refused struct{ Code, Error string }
		_ = json.NewDecoder(answer.Body).Decode(&refused)
		log.Fatalf("%d %s: %s", answer.StatusCode, refused.Code, refused.Error)
	}
	return answer
}

// chat says something, in a new session of project when none is named.
func chat(message, project, session string) (reply, id string) {
	body := map[string]any{"message": message, "trust": true, "wait": 60}
	if session != "" {
		body["sessionId"] = session
	} else {
		body["projectPath"] = project
	}
	answer := call("/api/chat", "", body)
	defer answer.Body.Close()
	var told struct{ Reply, SessionID string }
	if err := json.NewDecoder(answer.Body).Decode(&told); err != nil {
		log.Fatal(err)
	}
	return told.Reply, told.SessionID
}

func main() {
	_, session := chat("Remember the word BANANA", os.Args[1], "")
	reply, _ := chat("What word did I ask you to remember?", "", session)
	fmt.Println(reply)

	events := call("/api/events?since=0&session="+url.QueryEscape(session), "", nil)
	defer events.Body.Close()
	lines := bufio.NewScanner(events.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		var event struct {
			Seq  int
			Kind string
			Data struct{ State string }
		}
		if json.Unmarshal([]byte(data), &event) != nil || event.Kind == "" {
			continue
		}
		fmt.Println(event.Seq, event.Kind)
		if event.Data.State == "answered" {
			return
		}
	}
}
