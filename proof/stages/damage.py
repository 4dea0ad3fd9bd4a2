"""Damages one file of a stopped broker: it is refused by file and position, or served around, never served or cut off.

After the start every record is either as it was acknowledged, or answered with CORRUPT_MESSAGE. `tallymq verify` must
find the damage beforehand, whatever the start makes of it, wherever a covered byte changed (rig/coverage.py); what may
pass it has a name, and is counted. An index that is damaged hides no record and is made again.
"""

import itertools
import json
import random
import re
import shutil
import subprocess
import time
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from rig import coverage, load, mutation, parallel, payload, reader, template
from rig.broker import Broker, StartRefused
from rig.patience import PATIENCE_S

CI_ROUNDS, ROUNDS = 100, 5000
WEIGHTS = {"wal": 6, "segment": 6, "checkpoint": 3, "journal": 2, "index": 2, "keys": 2, "identity": 2, "spare": 1}
POSITION = re.compile(r"(byte|position|offset|line|column|at) ?\d+")
VERIFY_FOUND = 4


def play(options, outcome):
    made = options.directory / "template"
    made.mkdir(parents=True)
    template.make(options.binary, made)
    codes = [_verify(options.binary, made / state) for state in template.STATES]
    verifies = outcome.check(codes[0][0] == codes[1][0] == 0, f"verify finds damage where there is none: {codes}")
    kinds = [kind for kind, weight in WEIGHTS.items() for _ in range(weight)]
    cases = []
    for number in range(options.rounds):
        seed = options.seed + number
        case = {"binary": options.binary, "template": str(made), "directory": str(options.directory), "seed": seed}
        case |= {"verifies": verifies}
        cases.append(case | {"kind": kinds[seed % len(kinds)], "state": template.STATES[seed // len(kinds) % 2]})
    tally = {}
    for answer in parallel.play(run, cases, options.rounds):
        tally[answer["how"]] = tally.get(answer["how"], 0) + 1
        outcome.check(
            not answer["found"],
            f"{answer['what']} (seed {answer['seed']}): {'; '.join(answer['found'])[:1200]} ({answer['where']})",
        )
    outcome.figures |= tally


def run(case):
    """One case; answers with how it was met and what is wrong with that."""
    dice = random.Random(case["seed"])
    where = Path(case["directory"]) / f"case-{case['seed']}"
    data = where / "data"
    shutil.copytree(Path(case["template"]) / case["state"], data)
    answer = dict(case, where=str(where), reached=True, found=[], how="unharmed", what="")
    damaged = _damage(case, data, dice, answer)
    verified = _verify(case["binary"], data)
    broker = Broker(case["binary"], data, where / "broker.log", template.SETTINGS)
    try:
        _judge(broker, case, damaged, answer)
        if answer["kind"] == "keys":
            _judge_lookups(broker, case, damaged, answer)
    except Exception as error:
        answer["found"].append(f"{type(error).__name__}: {error}")
    finally:
        broker.kill()
    if case["verifies"]:
        _judge_verify(verified, damaged, answer)
    if not answer["found"]:
        shutil.rmtree(where)
    return answer


def _damage(case, data, dice, answer):
    path = dice.choice(template.files(data, case["kind"]))
    place = path.relative_to(data)
    earlier = Path(case["template"]) / "earlier" / place
    older = earlier.read_bytes() if earlier.exists() else b""
    how = mutation.ALL[dice.randrange(len(mutation.ALL))]
    whole = path.read_bytes()
    changed, said = how(whole, older, dice)
    path.write_bytes(changed)
    answer["what"] = f"{case['state']}, {place}: {said}"
    synced_bytes = template.synced_bytes(case["template"], case["state"], place)
    answer["excuse"] = coverage.excuse(case["kind"], whole, changed, synced_bytes)
    return path


def _judge(broker, case, damaged, answer):
    try:
        broker.start()
    except StartRefused as refused:
        answer["how"] = "refused"
        if refused.code in (101, None) or refused.code < 0:
            answer["found"].append(f"ended with {refused.code} instead of refusing")
        if damaged.name not in refused.output:
            answer["found"].append(f"refused without naming {damaged.name}: {refused.output[-500:]}")
        elif case["kind"] != "identity" and not POSITION.search(refused.output.split(damaged.name, 1)[1]):
            answer["found"].append(f"refused without a position: {refused.output[-500:]}")
        return
    identity = (Path(case["template"]) / case["state"] / "identity.toml").read_text()
    named = [re.search(pattern, identity).group(1) for pattern in ('cluster_id = "(.*)"', "node_id = (.*)")]
    if f"cluster {named[0]} · node {named[1]}" not in broker.output().decode(errors="replace"):
        answer["found"].append(f"started as somebody else: {broker.output()[:300]}")
    expected = template.expected(case["template"])
    probe = reader.Reader(broker.address)
    try:
        for partition, values in expected.values.items():
            _judge_partition(probe, partition, values, answer)
    finally:
        probe.close()
    positions = _positions(broker.address, len(expected.positions))
    if positions != expected.positions:
        answer["found"].append(f"committed positions are {positions}, not {expected.positions}")
    if answer["how"] == "corrupt" and damaged.name not in broker.output().decode(errors="replace"):
        answer["found"].append("CORRUPT_MESSAGE was answered, but the log does not name the file")
    if not broker.alive():
        answer["found"].append(f"the broker ended: {broker.output()[-500:]}")


def _judge_partition(probe, partition, values, answer):
    served, corrupt, (start, end) = probe.read_around_damage("kept", partition)
    if start != 0 or end < len(values):
        answer["found"].append(f"partition {partition} has {start}..{end} instead of 0..{len(values)}: cut silently")
    reported = set(corrupt)
    for offset, value in values.items():
        if offset in served:
            try:
                if payload.decode(served[offset]) != value:
                    answer["found"].append(f"{partition}@{offset}: another record was served")
            except payload.WrongBytes as wrong:
                answer["found"].append(f"{partition}@{offset}: wrong bytes were served: {wrong}")
        elif offset not in reported:
            answer["found"].append(f"{partition}@{offset}: missing, and no error said so")
    if corrupt:
        answer["how"] = "corrupt"


def _positions(address, partitions):
    base = {"bootstrap.servers": address, "group.id": "positions", "enable.auto.commit": False}
    consumer = Consumer(base | load.RECONNECT)
    found = consumer.committed([TopicPartition("kept", part) for part in range(partitions)], PATIENCE_S)
    consumer.close()
    return [part.offset for part in found]


def _verify(binary, data):
    argv = [binary, "verify", "--data-dir", str(data)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S)
    return done.returncode, done.stdout + done.stderr


def _judge_verify(verified, damaged, answer):
    code, output = verified
    if code not in (0, VERIFY_FOUND):
        answer["found"].append(f"verify ended with {code}: {output[-500:]}")
    elif code == 0 and answer["how"] != "unharmed":
        answer["found"].append(f"verify found nothing, but the data was {answer['how']}")
    elif code == 0 and answer["excuse"] is None:
        answer["found"].append("verify found nothing, but covered bytes changed")
    elif code == VERIFY_FOUND and damaged.name not in output:
        answer["found"].append(f"verify did not name {damaged.name}: {output[-500:]}")
    elif answer["kind"] == "keys" and answer["excuse"] != coverage.SAME and damaged.name not in output:
        answer["found"].append(f"verify said nothing of {damaged.name}: {output[-500:]}")
    if answer["how"] == "unharmed":
        answer["how"] = "found by verify alone" if code == VERIFY_FOUND else f"unharmed, {answer['excuse']}"


def _judge_lookups(broker, case, damaged, answer):
    """Each record is found by its key, and the lookups have the index made again as it was."""
    whole = (Path(case["template"]) / case["state"] / damaged.relative_to(broker.data)).read_bytes()
    partition = int(damaged.parent.name)
    values = template.expected(case["template"]).values[partition]
    deadline = time.monotonic() + PATIENCE_S
    for offset, key in itertools.cycle(random.Random(case["seed"]).sample(sorted(values.items()), len(values))):
        records = _trace(case["binary"], broker, key)
        if [(record["partition"], record["offset"]) for record in records] != [(partition, offset)]:
            answer["found"].append(f"a lookup of {key}, which is {partition}@{offset}, found {records}")
            return
        if damaged.exists() and damaged.read_bytes() == whole:
            return
        if time.monotonic() > deadline:
            answer["found"].append(f"{damaged.name} was not made again within {PATIENCE_S} s")
            return
        # It is made behind everything else that runs here.
        time.sleep(0.005)


def _trace(binary, broker, key):
    """The places of the records with a key."""
    argv = [binary, "trace", "--topic", "kept", "--key", key, "--http", broker.http_address, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", timeout=PATIENCE_S, check=True)
    return json.loads(done.stdout)["records"]
