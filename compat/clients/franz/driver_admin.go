package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Topics, positions and records; each command is done when its effect is there.
type driverAdmin struct {
	clients sync.Map
}

func (*driverAdmin) works() bool { return false }
func (*driverAdmin) step()       {}

func (admin *driverAdmin) at(address string) *kadm.Client {
	known, _ := admin.clients.LoadOrStore(address, sync.OnceValue(func() *kadm.Client {
		client, err := kgo.NewClient(kgo.SeedBrokers(address))
		must(err)
		return kadm.NewClient(client)
	}))
	return known.(func() *kadm.Client)()
}

func (c command) count() int32 {
	var partitions int32
	must(json.Unmarshal(c.Partitions, &partitions))
	return partitions
}

func (c command) offsets() kadm.Offsets {
	offsets := kadm.Offsets{}
	for partition, raw := range c.Offsets {
		var at int64
		must(json.Unmarshal(raw, &at))
		offsets.AddOffset(c.Topic, partition, at, -1)
	}
	return offsets
}

func (admin *driverAdmin) run(c command) (any, error) {
	ctx, client := context.Background(), admin.at(c.Bootstrap)
	config := map[string]*string{}
	for name, value := range c.Config {
		config[name] = &value
	}
	switch c.Do {
	case "create":
		_, err := client.CreateTopic(ctx, c.count(), 1, config, c.Topic)
		return nil, err
	case "delete":
		_, err := client.DeleteTopic(ctx, c.Topic)
		return nil, err
	case "grow":
		grown, err := client.UpdatePartitions(ctx, int(c.count()), c.Topic)
		if err != nil {
			return nil, err
		}
		return nil, grown.Error()
	case "configure":
		var changes []kadm.AlterConfig
		for name, value := range config {
			changes = append(changes, kadm.AlterConfig{Name: name, Value: value})
		}
		changed, err := client.AlterTopicConfigs(ctx, changes, c.Topic)
		if err != nil {
			return nil, err
		}
		return nil, changed[0].Err
	case "delete_records":
		deleted, err := client.DeleteRecords(ctx, c.offsets())
		if err != nil {
			return nil, err
		}
		return nil, deleted.Error()
	case "reset":
		done, err := client.CommitOffsets(ctx, c.Group, c.offsets())
		if err != nil {
			return nil, err
		}
		return nil, done.Error()
	case "delete_group":
		done, err := client.DeleteGroup(ctx, c.Group)
		if err != nil {
			return nil, err
		}
		return nil, done.Err
	case "bounds":
		return bounds(ctx, client, c)
	case "produce":
		return nil, sendAll(ctx, c)
	}
	return nil, fmt.Errorf("%s?", c.Do)
}

func bounds(ctx context.Context, client *kadm.Client, c command) (any, error) {
	starts, err := client.ListStartOffsets(ctx, c.Topic)
	if err != nil {
		return nil, err
	}
	ends, err := client.ListEndOffsets(ctx, c.Topic)
	found := map[int32][2]int64{}
	for partition, end := range ends[c.Topic] {
		found[partition] = [2]int64{starts[c.Topic][partition].Offset, end.Offset}
	}
	return found, err
}

// By a producer of its own; `rate` records a second, all at once with 0.
func sendAll(ctx context.Context, c command) error {
	codec, known := codecs[c.Compression]
	if !known {
		codec = kgo.NoCompression()
	}
	linger := time.Duration(cmp.Or(c.LingerMs, 5)) * time.Millisecond
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.Bootstrap), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(linger),
		kgo.RecordDeliveryTimeout(patience),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	begin, body := time.Now(), []byte(strings.Repeat("x", max(c.Size, 20)))
	var first kgo.FirstErrPromise
	for number := range c.Count {
		if c.Rate > 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(number) * time.Second / time.Duration(c.Rate))))
		}
		record := &kgo.Record{Topic: c.Topic, Key: fmt.Append(nil, number), Value: body}
		if c.Partition != nil {
			record.Partition = *c.Partition
		} else {
			record.Partition = int32(number) % c.count()
		}
		if c.Timestamp != nil {
			record.Timestamp = time.UnixMilli(*c.Timestamp)
		}
		client.Produce(ctx, record, first.Promise())
	}
	if err := client.Flush(ctx); err != nil {
		return err
	}
	return first.Err()
}
