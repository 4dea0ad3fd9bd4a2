package main

import (
	"bufio"
	"encoding/json"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

// fields are the members of one history line.
type fields map[string]any

// history writes one file of JSON lines; safe for many goroutines.
type history struct {
	lock sync.Mutex
	file *bufio.Writer
}

func newHistory() *history {
	file, err := os.Create(parameters.History)
	must(err)
	return &history{file: bufio.NewWriterSize(file, 1<<20)}
}

// monotonicNs is CLOCK_MONOTONIC as other processes see it, which time.Now hides.
func monotonicNs() int64 {
	const clockMonotonic = 1
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&at)), 0)
	return at.Nano()
}

func (h *history) log(op, kind string, rest fields) {
	h.lock.Lock()
	defer h.lock.Unlock()
	line := fields{
		"process": parameters.Process, "time_ns": monotonicNs(),
		"op": op, "type": kind, "topic": parameters.Topic,
	}
	for key, value := range rest {
		line[key] = value
	}
	must(json.NewEncoder(h.file).Encode(line))
}

func (h *history) flush() {
	h.lock.Lock()
	defer h.lock.Unlock()
	must(h.file.Flush())
}
