"""Says what librdkafka makes of a property file: whether it starts with it. It needs no broker.

A line of input is {"kind": "producer", "text": ".."}, a line of output {"refused": null}, or with librdkafka's words.
"""

import json
import sys

from confluent_kafka import Consumer, KafkaException, Producer


def refused(kind, text):
    settings = dict(line.split("=", 1) for line in text.splitlines() if line)
    settings.setdefault("bootstrap.servers", "127.0.0.1:1")
    if kind == "consumer":
        settings.setdefault("group.id", "g")
    try:
        client = Producer(settings) if kind == "producer" else Consumer(settings)
    except (KafkaException, ValueError) as error:
        return str(error)
    if kind == "consumer":
        client.close()
    return None


for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"refused": refused(asked["kind"], asked["text"])}), flush=True)
