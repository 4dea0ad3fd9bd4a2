// Driver on kafkajs: does what its standard input says, commands as in compat/harness/account/README.md.
'use strict';

const readline = require('readline');
const { Kafka, ConfigResourceTypes, logLevel } = require('kafkajs');
const COMPRESSION = require('./codecs');

const PATIENCE_MS = 150000;
const timeout = 60000; // of what is done to topics
const RETRY = { retries: 100, maxRetryTime: 500 };

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const connection = (address, clientId) =>
  new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry: RETRY, ...(clientId ? { clientId } : {}) });

async function until(condition, what) {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`${what()}: not within ${PATIENCE_MS} ms`);
    await sleep(20);
  }
}

// Some of kafkajs's first steps end with the connection, although it tries others again. And its look for the topics of a
// pattern swallows the answer if any topic of the cluster, just made by others, has no leader yet, and trips over what is left.
const isPassing = (error) =>
  error.name.startsWith('KafkaJSConnection') || (error instanceof TypeError && error.message.includes('topicMetadata'));

async function patiently(step) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if (!isPassing(error) || Date.now() > deadline) throw error;
      await sleep(20);
    }
  }
}

// Topics, positions and records; each command is done when its effect is there.
class Admin {
  constructor() {
    this.clients = new Map();
  }
  at(address) {
    if (!this.clients.has(address)) {
      const admin = connection(address).admin();
      this.clients.set(address, admin.connect().then(() => admin));
    }
    return this.clients.get(address);
  }
  async create({ bootstrap, topic, partitions, config }) {
    const configEntries = Object.entries(config || {}).map(([name, value]) => ({ name, value }));
    const topics = [{ topic, numPartitions: partitions, replicationFactor: 1, configEntries }];
    await (await this.at(bootstrap)).createTopics({ topics, waitForLeaders: true, timeout });
  }
  async delete({ bootstrap, topic }) {
    await (await this.at(bootstrap)).deleteTopics({ topics: [topic], timeout });
  }
  async grow({ bootstrap, topic, partitions }) {
    await (await this.at(bootstrap)).createPartitions({ topicPartitions: [{ topic, count: partitions }], timeout });
  }
  async configure({ bootstrap, topic, config }) {
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }];
    await (await this.at(bootstrap)).alterConfigs({ validateOnly: false, resources });
  }
  async delete_records({ bootstrap, topic, offsets }) {
    const partitions = Object.entries(offsets).map(([partition, offset]) => ({ partition: +partition, offset: `${offset}` }));
    const admin = await this.at(bootstrap);
    await admin.fetchTopicOffsets(topic); // kafkajs finds a leader only of topics that it was asked about
    await admin.deleteTopicRecords({ topic, partitions });
  }
  async reset({ bootstrap, group, topic, offsets }) {
    const partitions = Object.entries(offsets).map(([partition, offset]) => ({ partition: +partition, offset: `${offset}` }));
    await (await this.at(bootstrap)).setOffsets({ groupId: group, topic, partitions });
  }
  async delete_group({ bootstrap, group }) {
    await (await this.at(bootstrap)).deleteGroups([group]);
  }
  async bounds({ bootstrap, topic }) {
    const found = await (await this.at(bootstrap)).fetchTopicOffsets(topic);
    return Object.fromEntries(found.map(({ partition, low, high }) => [partition, [Number(low), Number(high)]]));
  }
  // `rate` records a second, all at once with 0.
  async produce({ bootstrap, topic, partition, partitions, count, rate, size, compression, timestamp }) {
    const producer = connection(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 });
    await patiently(() => producer.connect());
    const begin = Date.now();
    let number = 0;
    while (number < count) {
      const due = rate ? Math.min(count, Math.floor(((Date.now() - begin) * rate) / 1000) + 1) : count;
      const messages = [];
      for (; number < due && messages.length < 1000; number += 1) {
        const stamp = timestamp === undefined ? {} : { timestamp: `${timestamp}` };
        const place = partition === undefined ? number % partitions : partition;
        messages.push({ partition: place, key: `${number}`, value: 'x'.repeat(size || 20), ...stamp });
      }
      if (messages.length) await producer.send({ topic, acks: -1, compression: COMPRESSION[compression || 'none'], messages });
      else await sleep(5);
    }
    await producer.disconnect();
  }
}

// One consumer. kafkajs hands it records when it wants; they wait in the handler until a command takes them.
class Member {
  constructor() {
    Object.assign(this, { wanted: 0, workAs: null, delay: 0, count: 0, next: new Map(), owned: 0, troubles: [] });
    Object.assign(this, { silent: false, released: false, closing: false, commits: 0, first: {}, last: {} });
  }
  trouble(error) {
    this.troubles.push(error.message);
    this.troubles.splice(0, this.troubles.length - 5);
  }
  async open({ bootstrap, settings }) {
    const session = settings.session_ms || 10000;
    this.auto = settings.auto_commit_ms;
    this.fromBeginning = settings.reset !== 'latest';
    this.kafka = connection(bootstrap, settings.client_id);
    this.consumer = this.kafka.consumer({
      groupId: settings.group,
      sessionTimeout: session,
      heartbeatInterval: Math.floor(session / 4),
      rebalanceTimeout: 60000, // a commit may take as long as a sync of the disk, and holds the handler
      maxWaitTimeInMs: 200,
      ...(settings.metadata_ms ? { metadataMaxAge: settings.metadata_ms } : {}),
      ...(settings.fetch_bytes ? { maxBytesPerPartition: settings.fetch_bytes } : {}),
      retry: { ...RETRY, restartOnFailure: async () => !this.closing },
    });
    const { GROUP_JOIN, CRASH, COMMIT_OFFSETS } = this.consumer.events;
    this.consumer.on(GROUP_JOIN, ({ payload }) => {
      this.owned = Object.values(payload.memberAssignment).flat().length;
    });
    this.consumer.on(CRASH, ({ payload }) => {
      this.trouble(payload.error);
      if (!payload.restart && !this.closing) this.again(); // as whatever looks after a process would
    });
    this.consumer.on(COMMIT_OFFSETS, () => {
      this.commits += 1;
    });
    await patiently(() => this.consumer.connect());
  }
  async subscribe({ topics, pattern, seek }) {
    const wanted = pattern ? [new RegExp(`^${pattern}`)] : topics;
    await patiently(() => this.consumer.subscribe({ topics: wanted, fromBeginning: this.fromBeginning }));
    const running = this.run();
    // Before the first fetch: the group is made, and has not joined yet.
    for (const [partition, offset] of Object.entries(seek || {})) {
      this.consumer.seek({ topic: topics[0], partition: +partition, offset: `${offset}` });
    }
    await running;
  }
  run() {
    return this.consumer.run({
      autoCommit: Boolean(this.auto),
      autoCommitInterval: this.auto || null,
      eachBatchAutoResolve: false,
      eachBatch: (batch) => this.handle(batch),
    });
  }
  async again() {
    try {
      await this.consumer.connect();
      await this.run();
    } catch (error) {
      this.trouble(error);
      setTimeout(() => this.closing || this.again(), 200);
    }
  }
  async handle({ batch, resolveOffset, heartbeat, isRunning, isStale, commitOffsetsIfNecessary }) {
    const { topic, partition } = batch;
    let last = null;
    for (const message of batch.messages) {
      while (!this.workAs && this.wanted === 0) {
        if (this.closing || this.released || !isRunning() || isStale()) return;
        if (!this.silent) await heartbeat();
        await sleep(20);
      }
      if (this.closing || isStale()) break;
      this.count += 1;
      this.wanted = Math.max(0, this.wanted - 1);
      last = Number(message.offset) + 1;
      this.first[`${topic}/${partition}`] ??= last - 1;
      this.last[`${topic}/${partition}`] = last;
      this.next.set(`${topic}/${partition}`, { topic, partition, offset: `${last}` });
      resolveOffset(message.offset);
      if (this.delay) await sleep(this.delay); // the work that a slow handler does
      if (this.workAs === 'each' && !this.auto) await this.acknowledge(topic, partition, last);
      if (this.delay) await heartbeat();
    }
    if (last !== null && this.workAs && this.workAs !== 'none' && !this.auto) await this.acknowledge(topic, partition, last);
    if (this.auto) await commitOffsetsIfNecessary();
  }
  async acknowledge(topic, partition, offset) {
    try {
      await this.consumer.commitOffsets([{ topic, partition, offset: `${offset}` }]);
    } catch (error) {
      this.trouble(error);
      throw error; // kafkajs rejoins because of it
    }
  }
  async read({ count }) {
    this.wanted = count;
    await until(() => this.wanted === 0, () => `${this.wanted} of ${count} records did not come; ${this.troubles}`);
    return this.seen();
  }
  async poll({ owned }) {
    await until(() => this.owned >= owned, () => `owns ${this.owned} partitions; ${this.troubles}`);
    return this.seen();
  }
  seen() {
    return { count: this.count, owned: this.owned, troubles: this.troubles, first: this.first, next: this.last };
  }
  async commit({ topic, offsets }) {
    const named = Object.entries(offsets || {}).map(([partition, offset]) => ({ topic, partition: +partition, offset: `${offset}` }));
    const before = this.commits;
    await this.consumer.commitOffsets(offsets ? named : [...this.next.values()]);
    // kafkajs says nothing if it just left its group.
    if (this.commits === before) throw new Error('not committed: it does not run');
  }
  seek({ topic, offsets }) {
    for (const [partition, offset] of Object.entries(offsets)) {
      this.consumer.seek({ topic, partition: +partition, offset: `${offset}` });
    }
  }
  pause({ topic, partitions }) {
    this.consumer.pause([{ topic, partitions }]);
    this.released = true;
  }
  resume({ topic, partitions }) {
    this.released = false;
    this.consumer.resume([{ topic, partitions }]);
  }
  // Its handler does not come back and sends no heartbeat.
  hang() {
    this.silent = true;
  }
  work({ commit, delay_ms: delay }) {
    Object.assign(this, { workAs: commit, delay: delay || 0 });
  }
  rest() {
    this.workAs = null;
    return this.seen();
  }
  async close() {
    this.closing = true;
    await this.consumer.disconnect();
  }
}

function answer(rest) {
  process.stdout.write(`${JSON.stringify(rest)}\n`);
}

const admin = new Admin();
const actors = new Map();
process.on('unhandledRejection', (error) => process.stderr.write(`${error && error.stack}\n`));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  if (!actors.has(command.to)) {
    actors.set(command.to, { target: command.do === 'open' ? new Member() : admin, turn: Promise.resolve() });
  }
  const actor = actors.get(command.to);
  actor.turn = actor.turn.then(async () => {
    try {
      answer({ id: command.id, ok: (await actor.target[command.do](command)) || {} });
    } catch (error) {
      answer({ id: command.id, error: `${error.name}: ${error.message}` });
    }
  });
}).on('close', () => process.exit(0));
