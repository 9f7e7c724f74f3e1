"""Which blocks of a cache are free, taken, or hold a prompt's beginning that others share.

For: `openvino_engine`. Only whole blocks of prompts are shared: what an answer's own tokens left
in the cache was computed by another kernel, and would change the answers of whoever goes on from
it. Not for: the cache's memory.

    blocks = Blocks(64)
    found = blocks.shared("model", prompt)       # taken for the caller, to be given back
    own = blocks.take(3)
    blocks.publish("model", prompt, [*found, *own])
    blocks.give_back([*found, *own])
"""

from __future__ import annotations

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence

from helpers.backend.inference.llama_graph import BLOCK

BlockName = tuple[Hashable, bytes]


def names(model: Hashable, prompt: Sequence[int]) -> Iterator[BlockName]:
    """A name for each whole block of a prompt; it stands for all that is before it too."""
    name = b""
    for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
        # The name goes on from the one before it, so equal blocks behind different beginnings
        # differ.
        own = array("q", prompt[start : start + BLOCK]).tobytes()
        name = hashlib.blake2b(name + own, digest_size=16).digest()
        yield model, name


def most_shared(length: int) -> int:
    """How many whole blocks of a prompt may come from the cache.

    At least two tokens are left to compute: a single one goes through another kernel, whose sums
    differ in the last digit.
    """
    return max(0, length - 2) // BLOCK


class Blocks:
    """The blocks of one cache, by number. Not safe for several threads."""

    def __init__(self, count: int) -> None:
        # A block is in one place at a time: free, unused (named, with no users), or in use.
        self._free = list(range(count - 1, -1, -1))
        self._users = [0] * count
        self._named: dict[BlockName, int] = {}
        self._names: dict[int, BlockName] = {}
        self._unused: OrderedDict[int, None] = OrderedDict()
        """Named blocks that nobody reads now, the one that was longest unused first."""

    @property
    def free(self) -> int:
        """Blocks that `take` can give, for which shared beginnings are forgotten if need be."""
        return len(self._free) + len(self._unused)

    def shared(self, model: Hashable, prompt: Sequence[int]) -> list[int]:
        """The blocks that hold the prompt's beginning already, taken for the caller."""
        found = []
        for name, _ in zip(names(model, prompt), range(most_shared(len(prompt))), strict=False):
            block = self._named.get(name)
            if block is None:
                break
            self._unused.pop(block, None)
            self._users[block] += 1
            found.append(block)
        return found

    def take(self, count: int) -> list[int]:
        """So many blocks, whatever was in them. Raises `ValueError` if there are not so many."""
        if count > self.free:
            raise ValueError(f"{count} blocks of the cache are wanted, {self.free} are free")
        taken = []
        for _ in range(count):
            if not self._free:
                block, _ = self._unused.popitem(last=False)
                del self._named[self._names.pop(block)]
                self._free.append(block)
            block = self._free.pop()
            self._users[block] = 1
            taken.append(block)
        return taken

    def publish(self, model: Hashable, prompt: Sequence[int], blocks: Sequence[int]) -> None:
        """Let others read the blocks of a prompt, as far as they are computed and given here."""
        for name, block in zip(names(model, prompt), blocks, strict=False):
            # Two requests may have computed the same beginning side by side: the first one's is
            # kept, the other's goes back as free when it ends.
            if name not in self._named and block not in self._names:
                self._named[name], self._names[block] = block, name

    def give_back(self, blocks: Sequence[int]) -> None:
        """The caller reads them no more."""
        # The last first: a beginning without its continuation is of use, not the other way round.
        for block in reversed(blocks):
            self._users[block] -= 1
            if self._users[block]:
                continue
            if block in self._names:
                self._unused[block] = None
            else:
                self._free.append(block)

    def forget(self, model: Hashable) -> None:
        """Nobody will ask for what a model left: it is unloaded, or its weights changed."""
        for block in [block for block, name in self._names.items() if name[0] == model]:
            # A block that is still read loses its name alone; `give_back` then frees it.
            del self._named[self._names.pop(block)]
            if block in self._unused:
                del self._unused[block]
                self._free.append(block)
