"""Kafka's own tools where a scenario is theirs."""

from .play import Wrong, until


def reset(play, *how):
    """kafka-consumer-groups --reset-offsets of the play's group and topic, for its planted partition."""
    where = ["--group", play.group, "--topic", f"{play.topic}:1"]

    def done():
        said = play.stage.tools.run("consumer-groups", *where, "--reset-offsets", *how, "--execute", fails=None)
        return play.topic in said and "Error" not in said

    try:
        until(done, "kafka-consumer-groups --reset-offsets")
    except TimeoutError as error:
        raise Wrong(str(error)) from None
