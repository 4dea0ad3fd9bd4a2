// Worker on kafkajs. Usage: node worker.js JSON; modes as in compat/README.md.
'use strict';

const fs = require('fs');
const { Kafka, ConfigResourceTypes, logLevel } = require('kafkajs');
const COMPRESSION = require('./codecs');

const parameters = JSON.parse(process.argv[2]);
const { topic } = parameters;
const timeout = 60000; // of what is done to topics

const kafka = new Kafka({
  brokers: [parameters.bootstrap],
  logLevel: logLevel.ERROR,
  retry: { retries: 100, maxRetryTime: 500 },
});

class History {
  constructor() {
    this.file = fs.openSync(parameters.history, 'w');
    this.lines = [];
  }
  log(op, type, rest) {
    const time = process.hrtime.bigint(); // CLOCK_MONOTONIC; digits kept, a double would round it
    const tail = JSON.stringify({ op, type, topic, ...rest }).slice(1);
    this.lines.push(`{"process":${parameters.process},"time_ns":${time},${tail}\n`);
    if (this.lines.length >= 500) this.flush();
  }
  flush() {
    if (this.lines.length) fs.writeSync(this.file, this.lines.join(''));
    this.lines = [];
  }
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function check(holds, what) {
  if (!holds) throw new Error(what);
}

async function until(condition) {
  const deadline = Date.now() + 120000;
  while (!(await condition())) {
    check(Date.now() < deadline, 'not within 120 s');
    await sleep(50);
  }
}

async function withAdmin(action) {
  const admin = kafka.admin();
  await admin.connect();
  await action(admin);
  await admin.disconnect();
}

const create = () =>
  withAdmin((admin) =>
    admin.createTopics({ topics: [{ topic, numPartitions: parameters.partitions, replicationFactor: 1 }], waitForLeaders: true, timeout }));

const topicAdmin = () =>
  withAdmin(async (admin) => {
    const partitions = async () =>
      (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0].partitions.length;
    const retention = async () => {
      const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms'] };
      const answer = await admin.describeConfigs({ resources: [resource], includeSynonyms: false });
      return answer.resources[0].configEntries.find((entry) => entry.configName === 'retention.ms').configValue;
    };
    const entries = (value) => [{ name: 'retention.ms', value }];
    await admin.createTopics({
      topics: [{ topic, numPartitions: 3, replicationFactor: 1, configEntries: entries('600000') }],
      waitForLeaders: true,
      timeout,
    });
    check((await partitions()) === 3, 'not 3 partitions');
    check((await retention()) === '600000', 'retention at creation');
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic, configEntries: entries('1200000') };
    await admin.alterConfigs({ validateOnly: false, resources: [resource] });
    await until(async () => (await retention()) === '1200000');
    await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }], timeout });
    await until(async () => (await partitions()) === 5);
    check((await admin.describeCluster()).brokers.length === 1, 'not one broker');
    await admin.deleteTopics({ topics: [topic], timeout });
    await until(async () => !(await admin.listTopics()).includes(topic));
  });

async function produce(history) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 });
  await producer.connect();
  const { count, rate, size, partitions } = parameters;
  const begin = Date.now();
  let number = 0;
  while (number < count) {
    const due = rate ? Math.min(count, Math.floor(((Date.now() - begin) * rate) / 1000)) : count;
    const messages = [];
    while (number < due && messages.length < 1000) {
      const value = `${parameters.process}-${number}`;
      const partition = number % partitions;
      history.log('send', 'invoke', { partition, value });
      messages.push({ partition, key: `k${value}`, value: `${value}:`.padEnd(size, 'x'), headers: { n: value } });
      number += 1;
    }
    if (messages.length) await send(history, producer, messages);
    else await sleep(5);
  }
  await producer.disconnect();
}

async function send(history, producer, messages) {
  const valueOf = (message) => message.value.split(':')[0];
  try {
    const answers = await producer.send({ topic, acks: -1, compression: COMPRESSION[parameters.compression], messages });
    // One base offset for each partition; records of one partition keep their order.
    const following = new Map(answers.map((answer) => [answer.partition, Number(answer.baseOffset)]));
    for (const message of messages) {
      const offset = following.get(message.partition);
      following.set(message.partition, offset + 1);
      history.log('send', 'ok', { partition: message.partition, offset, value: valueOf(message) });
    }
  } catch (error) {
    for (const message of messages) {
      history.log('send', 'unknown', { partition: message.partition, value: valueOf(message), error: error.message });
    }
  }
  history.flush();
}

function logPoll(history, partition, message) {
  const value = message.value.toString().split(':')[0];
  const rest = { partition, offset: Number(message.offset), value, key: message.key.toString() };
  history.log('poll', 'ok', { ...rest, header: message.headers.n.toString() });
}

async function consume(history) {
  const ends = new Map();
  await withAdmin(async (admin) => {
    for (const { partition, high } of await admin.fetchTopicOffsets(topic)) {
      if (Number(high) > 0) ends.set(partition, Number(high));
    }
  });
  const consumer = kafka.consumer({ groupId: `reader-${topic}`, maxWaitTimeInMs: 200 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) logPoll(history, batch.partition, message);
      if (Number(batch.lastOffset()) + 1 === ends.get(batch.partition)) ends.delete(batch.partition);
    },
  });
  const deadline = Date.now() + 120000;
  while (ends.size) {
    check(Date.now() < deadline, `not read to ${[...ends]}`);
    await sleep(50);
  }
  await consumer.disconnect();
}

async function group(history) {
  const consumer = kafka.consumer({
    groupId: parameters.group,
    sessionTimeout: parameters.session_ms,
    heartbeatInterval: 500,
    rebalanceTimeout: 60000, // a commit may take as long as a sync of the disk, and holds the handler
    maxWaitTimeInMs: 200,
    retry: { retries: 100, maxRetryTime: 500, restartOnFailure: async () => true },
  });
  let owned = [];
  const revoke = () => {
    if (owned.length) history.log('revoke', 'ok', { partitions: owned });
    owned = [];
    history.flush();
  };
  consumer.on(consumer.events.REBALANCING, revoke);
  consumer.on(consumer.events.CRASH, revoke);
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    revoke();
    owned = payload.memberAssignment[topic] || [];
    history.log('assign', 'ok', { partitions: owned });
    history.flush();
  });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, isStale }) => {
      if (isStale()) return;
      for (const message of batch.messages) logPoll(history, batch.partition, message);
      await commit(history, consumer, batch.partition, Number(batch.lastOffset()) + 1);
    },
  });
  process.stdin.resume();
  await new Promise((resolve) => process.stdin.once('end', resolve).once('close', resolve));
  await consumer.stop();
  revoke();
  await consumer.disconnect();
}

async function commit(history, consumer, partition, following) {
  const offsets = { [partition]: following };
  history.log('commit', 'invoke', { offsets });
  history.flush();
  try {
    await consumer.commitOffsets([{ topic, partition, offset: String(following) }]);
    history.log('commit', 'ok', { offsets });
  } catch (error) {
    history.log('commit', 'unknown', { offsets, error: error.message });
    throw error; // kafkajs rejoins because of it
  } finally {
    history.flush();
  }
}

async function main() {
  if (parameters.mode === 'admin') return topicAdmin();
  if (parameters.mode === 'create') return create();
  const history = new History();
  try {
    await { produce, consume, group }[parameters.mode](history);
  } finally {
    history.flush();
  }
}

main().then(() => process.exit(0), (error) => {
  console.error(error);
  process.exit(1);
});
