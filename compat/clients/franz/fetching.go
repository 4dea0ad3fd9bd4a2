package main

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
)

const fetchKey = 1 // Kafka protocol guide, API keys

// The connections over which a consumer has fetched. franz-go drops the fetch that waits when its consumer seeks, and closes the
// connection some time later; until the broker has seen that, whom it answers is in doubt. So a seek closes them itself.
type fetching struct {
	lock sync.Mutex
	open []net.Conn
}

type connection struct {
	net.Conn
	all     *fetching
	fetched bool // written by one goroutine at a time, as the connection itself
}

func (all *fetching) dial(ctx context.Context, network, address string) (net.Conn, error) {
	opened, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: opened, all: all}, nil
}

// A request comes in one piece: its length, then the API's key.
func (one *connection) Write(request []byte) (int, error) {
	if !one.fetched && len(request) >= 6 && binary.BigEndian.Uint16(request[4:]) == fetchKey {
		one.fetched = true
		one.all.lock.Lock()
		one.all.open = append(one.all.open, one.Conn)
		one.all.lock.Unlock()
	}
	return one.Conn.Write(request)
}

// Closes them, those too that are closed already.
func (all *fetching) hangUp() {
	all.lock.Lock()
	defer all.lock.Unlock()
	for _, one := range all.open {
		one.Close()
	}
	all.open = nil
}
