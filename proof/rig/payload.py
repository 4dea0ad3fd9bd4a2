"""Record values: a unique name and padding that follows from it, so that a wrong byte anywhere is seen."""


def encode(name, size_bytes):
    body = f"{name}:".encode()
    return (body * (size_bytes // len(body) + 1))[: max(size_bytes, len(body))]


class WrongBytes(Exception):
    """A record was served whose bytes nobody sent."""


def decode(value):
    """The name; raises WrongBytes unless every byte is as `encode` made it."""
    name, colon, _ = value.partition(b":")
    if not colon or value != encode(name.decode("ascii", "replace"), len(value)):
        raise WrongBytes(repr(value[:80]))
    return name.decode()
