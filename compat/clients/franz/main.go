// Worker on franz-go. One argument, JSON; modes as in compat/README.md.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var parameters struct {
	Mode, Bootstrap, History, Topic, Compression, Group, Protocol string
	Process, Count, Rate, Size                                    int
	SessionMs                                                     int64 `json:"session_ms"`
	Partitions                                                    int32
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func check(holds bool, what string) {
	if !holds {
		panic(what)
	}
}

func main() {
	must(json.Unmarshal([]byte(os.Args[1]), &parameters))
	ctx := context.Background()
	switch parameters.Mode {
	case "admin":
		topicAdmin(ctx)
	case "create":
		create(ctx)
	case "produce":
		produce(ctx, newHistory())
	case "consume":
		consume(ctx, newHistory())
	case "group":
		group(ctx, newHistory())
	case "drive":
		drive()
	default:
		panic("mode " + parameters.Mode)
	}
}

func produce(ctx context.Context, history *history) {
	defer history.flush()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(parameters.Bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(codecs[parameters.Compression]),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.RecordDeliveryTimeout(120*time.Second),
	)
	must(err)
	defer client.Close()
	begin := time.Now()
	for number := range parameters.Count {
		if parameters.Rate > 0 {
			time.Sleep(time.Until(begin.Add(time.Duration(number) * time.Second / time.Duration(parameters.Rate))))
		}
		value := fmt.Sprintf("%d-%d", parameters.Process, number)
		partition := int32(number) % parameters.Partitions
		body := value + ":" + strings.Repeat("x", max(0, parameters.Size-len(value)-1))
		record := &kgo.Record{
			Topic: parameters.Topic, Partition: partition, Key: []byte("k" + value), Value: []byte(body),
			Headers: []kgo.RecordHeader{{Key: "n", Value: []byte(value)}},
		}
		history.log("send", "invoke", fields{"partition": partition, "value": value})
		client.Produce(ctx, record, func(sent *kgo.Record, err error) {
			if err != nil {
				history.log("send", "unknown", fields{"partition": partition, "value": value, "error": err.Error()})
				return
			}
			history.log("send", "ok", fields{"partition": partition, "value": value, "offset": sent.Offset})
		})
		if number%200 == 0 {
			history.flush()
		}
	}
	must(client.Flush(ctx))
}

func logPoll(history *history, record *kgo.Record) {
	value, _, _ := bytes.Cut(record.Value, []byte(":"))
	history.log("poll", "ok", fields{
		"partition": record.Partition, "offset": record.Offset, "value": string(value),
		"key": string(record.Key), "header": string(record.Headers[0].Value),
	})
}

func consume(ctx context.Context, history *history) {
	defer history.flush()
	admin, done := newAdmin()
	ends, err := admin.ListEndOffsets(ctx, parameters.Topic)
	must(err)
	done()
	left := map[int32]int64{}
	start := map[int32]kgo.Offset{}
	for partition, end := range ends[parameters.Topic] {
		if end.Offset > 0 {
			left[partition], start[partition] = end.Offset, kgo.NewOffset().At(0)
		}
	}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(parameters.Bootstrap),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{parameters.Topic: start}),
	)
	must(err)
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 120*time.Second)
	defer cancel()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		check(ctx.Err() == nil, fmt.Sprint("not read to ", left))
		fetches.EachRecord(func(record *kgo.Record) {
			logPoll(history, record)
			if left[record.Partition] == record.Offset+1 {
				delete(left, record.Partition)
			}
		})
	}
}

func group(ctx context.Context, history *history) {
	defer history.flush()
	moved := func(op string) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			if list := partitions[parameters.Topic]; len(list) > 0 {
				history.log(op, "ok", fields{"partitions": list})
				history.flush()
			}
		}
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(parameters.Bootstrap),
		kgo.ConsumerGroup(parameters.Group),
		kgo.ConsumeTopics(parameters.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(time.Duration(parameters.SessionMs) * time.Millisecond),
		kgo.HeartbeatInterval(500 * time.Millisecond),
		kgo.OnPartitionsAssigned(moved("assign")),
		kgo.OnPartitionsRevoked(moved("revoke")),
		kgo.OnPartitionsLost(moved("revoke")),
	}
	if parameters.Protocol == "consumer" {
		options = append(options, kgo.ServerSideBalancer())
	}
	client, err := kgo.NewClient(options...)
	must(err)
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	for ctx.Err() == nil {
		polling, done := context.WithTimeout(ctx, 200*time.Millisecond)
		fetches := client.PollFetches(polling)
		done()
		following := map[string]int64{}
		fetches.EachRecord(func(record *kgo.Record) {
			logPoll(history, record)
			following[strconv.Itoa(int(record.Partition))] = record.Offset + 1
		})
		if len(following) > 0 {
			commit(history, client, fetches.Records(), following)
		}
		history.flush()
		client.AllowRebalance()
	}
	client.CloseAllowingRebalance()
}

func commit(history *history, client *kgo.Client, records []*kgo.Record, following map[string]int64) {
	history.log("commit", "invoke", fields{"offsets": following})
	history.flush()
	ctx, done := context.WithTimeout(context.Background(), 60*time.Second)
	defer done()
	if err := client.CommitRecords(ctx, records...); err != nil {
		// A rebalance or a crash in between; the next owner reads again.
		history.log("commit", "unknown", fields{"offsets": following, "error": err.Error()})
		return
	}
	history.log("commit", "ok", fields{"offsets": following})
}
