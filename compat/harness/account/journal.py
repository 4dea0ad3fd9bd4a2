"""The accounts' journal of a stopped broker, as far as a scenario has to look into it: docs/formats.md, "The accounts' journal"."""

JOURNAL_TOPIC = "74616c6c-796d-8100-8000-6a6f75726e6c"
CLASSES = {"purged": 6}


class Journal:
    def __init__(self, data):
        segments = sorted((data / "topics" / JOURNAL_TOPIC).glob("*/*.log"))
        self.bytes = b"".join(each.read_bytes() for each in segments)

    def has_settled(self, group, from_, to, class_):
        """Whether there is an event that these offsets of a group came to a class: the group's name, then the event's fields."""
        return group.encode() + zigzag(from_) + zigzag(to) + bytes([CLASSES[class_]]) in self.bytes


def zigzag(number):
    """A signed variable-length integer, as in record batches (KIP-98)."""
    rest, out = number << 1 if number >= 0 else (-number << 1) - 1, bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])
