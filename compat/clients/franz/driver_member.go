package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const patience = 150 * time.Second

type place struct {
	topic     string
	partition int32
}

// One consumer. While it works it polls whenever there is no command.
type driverMember struct {
	bootstrap string
	settings  settings
	client    *kgo.Client
	fetching  fetching
	isMember  bool
	workAs    string
	delay     time.Duration
	seen      int
	next      map[place]int64
	first     map[string]int64
	last      map[string]int64

	lock     sync.Mutex // callbacks come on other goroutines
	owned    map[place]bool
	troubles []string
}

func newDriverMember() *driverMember {
	return &driverMember{
		next: map[place]int64{}, first: map[string]int64{}, last: map[string]int64{}, owned: map[place]bool{},
	}
}

func (member *driverMember) works() bool { return member.workAs != "" }

func (member *driverMember) trouble(err error) {
	member.lock.Lock()
	defer member.lock.Unlock()
	member.troubles = append(member.troubles, err.Error())
	member.troubles = member.troubles[max(0, len(member.troubles)-5):]
}

func (member *driverMember) run(c command) (any, error) {
	switch c.Do {
	case "open":
		member.bootstrap, member.settings = c.Bootstrap, c.Settings
	case "subscribe":
		return nil, member.subscribe(c)
	case "assign":
		return nil, member.assign(c)
	case "read":
		return member.read(c.Count)
	case "poll":
		return member.await(c.Owned)
	case "rest":
		member.workAs = ""
	case "seen":
	case "commit":
		return nil, member.commit(c)
	case "seek":
		offsets := map[string]map[int32]kgo.EpochOffset{c.Topic: {}}
		for partition, at := range c.offsets()[c.Topic] {
			offsets[c.Topic][partition] = kgo.EpochOffset{Epoch: -1, Offset: at.At}
		}
		member.client.SetOffsets(offsets)
		member.fetching.hangUp()
	case "pause":
		member.client.PauseFetchPartitions(map[string][]int32{c.Topic: c.list()})
	case "resume":
		member.client.ResumeFetchPartitions(map[string][]int32{c.Topic: c.list()})
	case "work":
		member.workAs, member.delay = c.Commit, time.Duration(c.DelayMs)*time.Millisecond
	case "close":
		member.workAs = ""
		member.client.Close()
		return nil, nil
	default:
		return nil, fmt.Errorf("%s?", c.Do)
	}
	return member.said(), nil
}

func (c command) list() []int32 {
	var partitions []int32
	must(json.Unmarshal(c.Partitions, &partitions))
	return partitions
}

func (member *driverMember) said() any {
	member.lock.Lock()
	defer member.lock.Unlock()
	troubles := append([]string{}, member.troubles...)
	first, last := maps.Clone(member.first), maps.Clone(member.last) // read by the one who answers
	return map[string]any{
		"count": member.seen, "owned": len(member.owned), "troubles": troubles, "first": first, "next": last,
	}
}

func (member *driverMember) base() []kgo.Opt {
	wanted := member.settings
	reset := kgo.NewOffset().AtStart()
	if wanted.Reset == "latest" {
		reset = kgo.NewOffset().AtEnd()
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(member.bootstrap), kgo.ConsumeResetOffset(reset), kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.Dialer(member.fetching.dial),
	}
	if wanted.ClientID != nil {
		options = append(options, kgo.ClientID(*wanted.ClientID))
	}
	if wanted.MetadataMs > 0 {
		age := time.Duration(wanted.MetadataMs) * time.Millisecond
		options = append(options, kgo.MetadataMaxAge(age), kgo.MetadataMinAge(min(age, 100*time.Millisecond)))
	}
	if wanted.FetchBytes > 0 {
		options = append(options, kgo.FetchMaxPartitionBytes(wanted.FetchBytes), kgo.FetchMaxBytes(wanted.FetchBytes))
	}
	if wanted.Isolation == "read_committed" {
		options = append(options, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	return options
}

func (member *driverMember) subscribe(c command) error {
	wanted := member.settings
	moved := func(owns bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, topics map[string][]int32) { member.moved(topics, owns) }
	}
	options := append(member.base(), kgo.ConsumerGroup(wanted.Group),
		kgo.OnPartitionsAssigned(moved(true)), kgo.OnPartitionsRevoked(moved(false)), kgo.OnPartitionsLost(moved(false)))
	if c.Pattern != "" {
		options = append(options, kgo.ConsumeRegex(), kgo.ConsumeTopics("^"+c.Pattern))
	} else {
		options = append(options, kgo.ConsumeTopics(c.Topics...))
	}
	if wanted.AutoCommitMs > 0 {
		options = append(options, kgo.AutoCommitInterval(time.Duration(wanted.AutoCommitMs)*time.Millisecond))
	} else {
		options = append(options, kgo.DisableAutoCommit())
	}
	if wanted.SessionMs > 0 {
		session := time.Duration(wanted.SessionMs) * time.Millisecond
		options = append(options, kgo.SessionTimeout(session), kgo.HeartbeatInterval(session/4))
	}
	if wanted.Instance != "" {
		options = append(options, kgo.InstanceID(wanted.Instance))
	}
	if wanted.Protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer())
	}
	balancers := map[string]kgo.GroupBalancer{
		"range": kgo.RangeBalancer(), "roundrobin": kgo.RoundRobinBalancer(), "cooperative": kgo.CooperativeStickyBalancer(),
	}
	if balancer, named := balancers[wanted.Assignor]; named {
		options = append(options, kgo.Balancers(balancer))
	}
	if len(c.Seek) > 0 {
		options = append(options, kgo.AdjustFetchOffsetsFn(
			func(_ context.Context, topics map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
				for _, partitions := range topics {
					for partition, at := range c.Seek {
						if _, given := partitions[partition]; given {
							partitions[partition] = kgo.NewOffset().At(at)
						}
					}
				}
				return topics, nil
			}))
	}
	client, err := kgo.NewClient(options...)
	member.client, member.isMember = client, true
	return err
}

func (member *driverMember) moved(topics map[string][]int32, owns bool) {
	member.lock.Lock()
	defer member.lock.Unlock()
	for topic, partitions := range topics {
		for _, partition := range partitions {
			if owns {
				member.owned[place{topic, partition}] = true
			} else {
				delete(member.owned, place{topic, partition})
			}
		}
	}
}

// Without membership; `stored` begins at the group's position. Nothing at all is read if no partition is named.
func (member *driverMember) assign(c command) error {
	options := member.base()
	client, err := kgo.NewClient(options...)
	if err != nil {
		return err
	}
	member.client = client
	start := map[int32]kgo.Offset{}
	for partition, raw := range c.Offsets {
		var at int64
		if json.Unmarshal(raw, &at) != nil {
			stored, err := kadm.NewClient(client).FetchOffsets(context.Background(), member.settings.Group)
			if err != nil {
				return err
			}
			known, _ := stored.Lookup(c.Topic, partition)
			at = known.At
		}
		start[partition] = kgo.NewOffset().At(at)
		member.owned[place{c.Topic, partition}] = true
	}
	if len(start) > 0 {
		client.AddConsumePartitions(map[string]map[int32]kgo.Offset{c.Topic: start})
	}
	return nil
}

func (member *driverMember) take(many int, wait time.Duration) bool {
	ctx, done := context.WithTimeout(context.Background(), wait)
	defer done()
	fetches := member.client.PollRecords(ctx, many)
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			member.trouble(failed.Err)
		}
	}
	some := false
	fetches.EachRecord(func(record *kgo.Record) {
		member.seen++
		some = true
		name := fmt.Sprintf("%s/%d", record.Topic, record.Partition)
		if _, known := member.first[name]; !known {
			member.first[name] = record.Offset
		}
		member.last[name] = record.Offset + 1
		member.next[place{record.Topic, record.Partition}] = record.Offset + 1
	})
	return some
}

func (member *driverMember) read(count int) (any, error) {
	until, deadline := member.seen+count, time.Now().Add(patience)
	for member.seen < until {
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d of %d records did not come; %v", until-member.seen, count, member.said())
		}
		member.take(until-member.seen, 200*time.Millisecond)
	}
	return member.said(), nil
}

func (member *driverMember) await(partitions int) (any, error) {
	for deadline := time.Now().Add(patience); ; member.take(1, 100*time.Millisecond) {
		member.lock.Lock()
		owned := len(member.owned)
		member.lock.Unlock()
		if owned >= partitions {
			return member.said(), nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("owns %d partitions", owned)
		}
	}
}

func (member *driverMember) commit(c command) error {
	next := member.next
	if c.Offsets != nil {
		next = map[place]int64{}
		for partition, at := range c.offsets()[c.Topic] {
			next[place{c.Topic, partition}] = at.At
		}
	}
	return member.acknowledge(next)
}

// By the member, or by a client that is none, for the group.
func (member *driverMember) acknowledge(next map[place]int64) error {
	ctx, done := context.WithTimeout(context.Background(), patience)
	defer done()
	if !member.isMember {
		offsets := kadm.Offsets{}
		for at, offset := range next {
			offsets.AddOffset(at.topic, at.partition, offset, -1)
		}
		answer, err := kadm.NewClient(member.client).CommitOffsets(ctx, member.settings.Group, offsets)
		if err != nil {
			return err
		}
		return answer.Error()
	}
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for at, offset := range next {
		if offsets[at.topic] == nil {
			offsets[at.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[at.topic][at.partition] = kgo.EpochOffset{Epoch: -1, Offset: offset}
	}
	var failed error
	member.client.CommitOffsetsSync(ctx, offsets,
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
			failed = err
			if answer == nil {
				return
			}
			for _, topic := range answer.Topics {
				for _, partition := range topic.Partitions {
					failed = errors.Join(failed, kerr.ErrorForCode(partition.ErrorCode))
				}
			}
		})
	return failed
}

func (member *driverMember) step() {
	member.next = map[place]int64{}
	many := 200
	if member.workAs == "each" {
		many = 1
	}
	some := member.take(many, 100*time.Millisecond)
	if some && member.delay > 0 {
		time.Sleep(member.delay) // the work that a slow handler does
	}
	if !some || member.settings.AutoCommitMs > 0 || member.workAs == "none" {
		return
	}
	if err := member.acknowledge(member.next); err != nil { // a rebalance or a crash in between; the next owner reads again
		member.trouble(err)
	}
}
