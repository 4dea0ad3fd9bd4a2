"""Shows a race of kafka-python 3.0.12 against any broker: lost_subscription.py PORT

A subscription that comes while the answer to the consumer's first Metadata request is on its way is forgotten: the answer,
which names no topics, counts as the refresh that `subscribe` asked for, and the next one comes after five minutes. A proxy
holds answers back, so that the race is certain and not rare. Apache Kafka 4.3.0 and TallyMQ alike: 10 of 10 with a delay of
20 ms, 0 of 10 without. It is why tests of that client's own suite fail now and then on a busy machine.
"""

import asyncio
import concurrent.futures
import sys
import threading
import time

from kafka import KafkaConsumer, KafkaProducer

CONSUMERS = 10


async def delayed(reader, writer, delay_s):
    while data := await reader.read(65536):
        await asyncio.sleep(delay_s)
        writer.write(data)
    writer.close()


async def proxy(port, delay_s, listening):
    async def serve(reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(delayed(reader, up_writer, 0), delayed(up_reader, writer, delay_s))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    listening.set_result(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def proxy_port(port, delay_s):
    listening = concurrent.futures.Future()
    threading.Thread(target=lambda: asyncio.run(proxy(port, delay_s, listening)), daemon=True).start()
    return listening.result(10)


def main():
    port, topic = int(sys.argv[1]), f"subscription-{time.time_ns()}"
    with KafkaProducer(bootstrap_servers=f"127.0.0.1:{port}") as producer:
        producer.send(topic, b"here").get(30)
    for delay_s in (0, 0.02, 0.1):
        bootstrap, lost = f"127.0.0.1:{proxy_port(port, delay_s)}", 0
        for _ in range(CONSUMERS):
            settings = {"bootstrap_servers": bootstrap, "api_version": (4, 3), "auto_offset_reset": "earliest"}
            with KafkaConsumer(group_id=None, **settings) as consumer:
                # After its ApiVersions is answered, before its first Metadata is.
                time.sleep(1.5 * delay_s)
                consumer.subscribe([topic])
                lost += not consumer.poll(timeout_ms=3000)
        print(f"answers {delay_s * 1000:.0f} ms late: {lost} of {CONSUMERS} consumers got nothing", flush=True)


main()
