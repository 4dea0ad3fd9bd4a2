package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newAdmin() (*kadm.Client, func()) {
	client, err := kgo.NewClient(kgo.SeedBrokers(parameters.Bootstrap))
	must(err)
	return kadm.NewClient(client), client.Close
}

func create(ctx context.Context) {
	admin, done := newAdmin()
	defer done()
	_, err := admin.CreateTopic(ctx, parameters.Partitions, 1, nil, parameters.Topic)
	must(err)
	until(func() bool { return partitions(ctx, admin) == int(parameters.Partitions) })
}

func partitions(ctx context.Context, admin *kadm.Client) int {
	details, err := admin.ListTopics(ctx, parameters.Topic)
	must(err)
	return len(details[parameters.Topic].Partitions)
}

func topicAdmin(ctx context.Context) {
	admin, done := newAdmin()
	defer done()
	topic := parameters.Topic
	retention := func() string {
		configs, err := admin.DescribeTopicConfigs(ctx, topic)
		must(err)
		config, err := configs.On(topic, nil)
		must(err)
		for _, entry := range config.Configs {
			if entry.Key == "retention.ms" {
				return entry.MaybeValue()
			}
		}
		return ""
	}
	first := "600000"
	_, err := admin.CreateTopic(ctx, 3, 1, map[string]*string{"retention.ms": &first}, topic)
	must(err)
	until(func() bool { return partitions(ctx, admin) == 3 })
	check(retention() == first, "retention at creation: "+retention())
	second := "1200000"
	changed, err := admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "retention.ms", Value: &second}}, topic)
	must(err)
	must(changed[0].Err)
	until(func() bool { return retention() == second })
	grown, err := admin.UpdatePartitions(ctx, 5, topic)
	must(err)
	must(grown.Error())
	until(func() bool { return partitions(ctx, admin) == 5 })
	brokers, err := admin.ListBrokers(ctx)
	must(err)
	check(len(brokers) == 1, "not one broker")
	_, err = admin.DeleteTopic(ctx, topic)
	must(err)
	until(func() bool {
		details, err := admin.ListTopics(ctx)
		must(err)
		return !details.Has(topic)
	})
}

func until(condition func() bool) {
	deadline := time.Now().Add(120 * time.Second)
	for !condition() {
		check(time.Now().Before(deadline), "not within 120 s")
		time.Sleep(50 * time.Millisecond)
	}
}
