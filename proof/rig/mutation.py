"""Ways to damage a file on disk: one bit, a zeroed, swapped or rolled-back block of 4 KiB, a cut end.

Pure functions over bytes; positions are drawn inside what the file uses, so that a hit means something.
"""

BLOCK = 4096


def used_bytes(content):
    """Length without the zeros that a pre-written file ends with."""
    return len(content.rstrip(b"\0"))


def flip_bit(content, _, dice):
    at = dice.randrange(used_bytes(content))
    changed = bytearray(content)
    changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed), f"bit flipped at byte {at}"


def zero_block(content, _, dice):
    at = dice.randrange(used_bytes(content)) // BLOCK * BLOCK
    end = min(at + BLOCK, len(content))
    return content[:at] + bytes(end - at) + content[end:], f"block zeroed at byte {at}"


def cut(content, _, dice):
    at = dice.randrange(used_bytes(content))
    return content[:at], f"cut at byte {at}"


def swap_blocks(content, earlier, dice):
    blocks = used_bytes(content) // BLOCK
    if blocks < 2:
        return flip_bit(content, earlier, dice)
    one, other = sorted(dice.sample(range(blocks), 2))
    changed = bytearray(content)
    first, second = slice(one * BLOCK, (one + 1) * BLOCK), slice(other * BLOCK, (other + 1) * BLOCK)
    changed[first], changed[second] = content[second], content[first]
    return bytes(changed), f"blocks at bytes {one * BLOCK} and {other * BLOCK} swapped"


def roll_back_block(content, earlier, dice):
    """A lost write: the block is as it was in `earlier`, an older copy of the file (zeros where that was shorter)."""
    older = earlier.ljust(len(content), b"\0")[: len(content)]
    blocks = range((used_bytes(content) + BLOCK - 1) // BLOCK)
    stale = [at for at in blocks if content[at * BLOCK : (at + 1) * BLOCK] != older[at * BLOCK : (at + 1) * BLOCK]]
    if not stale:
        return flip_bit(content, earlier, dice)
    at = dice.choice(stale) * BLOCK
    return content[:at] + older[at : at + BLOCK] + content[at + BLOCK :], f"block at byte {at} rolled back"


ALL = [flip_bit, zero_block, cut, swap_blocks, roll_back_block]
