package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// A command of the driver, as in compat/harness/account/README.md.
type command struct {
	ID                                                    int
	To, Do, Bootstrap, Topic, Pattern, Group, Compression string
	Commit                                                string
	Topics                                                []string
	Partition                                             *int32
	Partitions                                            json.RawMessage
	Offsets                                               map[int32]json.RawMessage
	Seek                                                  map[int32]int64
	Config                                                map[string]string
	Count, Owned, Rate, Size                              int
	DelayMs                                               int `json:"delay_ms"`
	LingerMs                                              int `json:"linger_ms"`
	Timestamp                                             *int64
	Settings                                              settings
}

type settings struct {
	Group, Reset, Protocol, Instance, Assignor, Isolation string
	ClientID                                              *string `json:"client_id"`
	AutoCommitMs                                          int     `json:"auto_commit_ms"`
	SessionMs                                             int     `json:"session_ms"`
	MetadataMs                                            int     `json:"metadata_ms"`
	FetchBytes                                            int32   `json:"fetch_bytes"`
}

// What commands are for: topics and records, or one consumer.
type target interface {
	run(command) (any, error)
	works() bool
	step()
}

// Does what standard input says, one goroutine for each name.
func drive() {
	var out sync.Mutex
	queues, admin := map[string]chan command{}, &driverAdmin{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one command
		must(json.Unmarshal(lines.Bytes(), &one))
		queue, known := queues[one.To]
		if !known {
			queue = make(chan command, 1024)
			queues[one.To] = queue
			var object target = admin
			if one.Do == "open" {
				object = newDriverMember()
			}
			go act(object, queue, func(said map[string]any) {
				line, err := json.Marshal(said)
				must(err)
				out.Lock()
				defer out.Unlock()
				fmt.Println(string(line))
			})
		}
		queue <- one
	}
}

func act(object target, queue chan command, say func(map[string]any)) {
	for {
		var one command
		if object.works() {
			select {
			case one = <-queue:
			default:
				object.step()
				continue
			}
		} else {
			one = <-queue
		}
		said, err := object.run(one)
		switch {
		case err != nil:
			say(map[string]any{"id": one.ID, "error": err.Error()})
		case said == nil:
			say(map[string]any{"id": one.ID, "ok": map[string]any{}})
		default:
			say(map[string]any{"id": one.ID, "ok": said})
		}
	}
}
