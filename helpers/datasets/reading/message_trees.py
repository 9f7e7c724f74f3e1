"""Put messages that name the one before them into conversations.

For: chats of ChatGPT, which are trees, and tables in which a message names the one that it
answers. Not for: lists of messages that stand in order, see `exports`.

    linear({"mapping": {...}, "current_node": "c"})["messages"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from helpers.datasets.reading.message_objects import plain_text
from helpers.datasets.reading.source import Reject, Row, SourceTable

MESSAGES = "messages"
# Names such as "in_reply_to_status_id", "parent_id" and "reference.messageId".
_REPLY = re.compile(
    r"in_?(?:reply|response)_?to(?:_\w*)?|reply_?to(?:_\w*)?id|reply_to_message_id|parent_?id"
    r"|reference\.messageid|parent_message_id",
    re.IGNORECASE,
)


def linear(value: Row) -> Row:
    """A ChatGPT conversation, whose messages form a tree, with the messages of the branch that
    was shown last."""
    nodes = value.get("mapping")
    if not isinstance(nodes, dict) or not nodes:
        return value
    if not all(isinstance(node, dict) and "parent" in node for node in nodes.values()):
        return value
    # Without a node that was shown last, the youngest end of a branch.
    place = value.get("current_node")
    if place not in nodes:
        leaves = [key for key, node in nodes.items() if not node.get("children")]
        place = max(leaves or nodes, key=lambda key: _created(nodes[key]))
    path: list[dict[str, Any]] = []
    # A damaged file may run in a circle.
    seen: set[str] = set()
    while isinstance(place, str) and place in nodes and place not in seen:
        seen.add(place)
        if (message := nodes[place].get("message")) and _shown(message):
            path.append(_flat_message(message))
        place = nodes[place].get("parent")
    left = [n for k, n in nodes.items() if k not in seen and (m := n.get("message")) and _shown(m)]
    rest = {key: held for key, held in value.items() if key != "mapping"}
    return {**rest, MESSAGES: path[::-1], "other branches": len(left)}


def _created(node: Mapping[str, Any]) -> float:
    message = node.get("message")
    created = message.get("create_time") if isinstance(message, dict) else None
    return float(created) if isinstance(created, int | float) else 0.0


def _shown(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    hidden = (message.get("metadata") or {}).get("is_visually_hidden_from_conversation")
    return not hidden and bool(plain_text(message.get("content")).strip())


def _flat_message(message: Mapping[str, Any]) -> dict[str, Any]:
    author = message.get("author") or {}
    content = message.get("content") or {}
    kind = str(content.get("content_type") or "text")
    to = message.get("recipient") or "all"
    said = {"uuid": message.get("id"), "role": str(author.get("role"))}
    said |= {"text": plain_text(content), "content_type": kind}
    if kind not in ("text", "multimodal_text") or to != "all":
        said["subtype"] = f"{kind} for {to}"
    return said


def linked(source: SourceTable) -> SourceTable | None:
    """Messages that name the one they answer, each with the first of its chain as `thread`.

    None where no column names other rows. Of a tree with several answers to one message the
    first branch is kept, and the others are rejected.
    """
    links = [name for name in source.columns if _REPLY.fullmatch(name.replace(" ", "_"))]
    if not links:
        return None
    link = links[0]
    targets = {_id(row.get(link)) for _, row in source.rows} - {""}
    # The column whose values the links hit most often holds the ids, whatever it is called.
    best = max(source.columns, key=lambda name: _hits(source, name, link, targets))
    if not targets or _hits(source, best, link, targets) < 0.3 * len(targets):
        return None
    parents = {_id(row.get(best)): _id(row.get(link)) for _, row in source.rows}
    aside = _branches(source, best, link) if _is_tree(source) else {}
    rows = tuple(
        (n, {**row, "thread": _root(_id(row.get(best)), parents)})
        for n, row in source.rows
        if n not in aside
    )
    gone = tuple(Reject(n, aside[n], row) for n, row in source.rows if n in aside)
    note = f"conversations are found by following {link!r} to {best!r}"
    return replace(
        source,
        columns=(*source.columns, "thread"),
        rows=rows,
        rejected=(*source.rejected, *gone),
        notes=(*source.notes, note),
    )


def _is_tree(source: SourceTable) -> bool:
    """Whether one message can have several answers that exclude each other: OpenAssistant's."""
    return "message_tree_id" in source.columns or any(
        row.get("role") == "prompter" for _, row in source.rows
    )


def _branches(source: SourceTable, name: str, link: str) -> dict[int, str]:
    """Rows that stand on another branch than the first one of their tree, with the reason."""
    followed: dict[str, str] = {}
    aside: dict[int, str] = {}
    left: set[str] = set()
    for number, row in _parents_first(source.rows, name, link):
        own, above = _id(row.get(name)), _id(row.get(link))
        if not above or (above not in left and followed.setdefault(above, own) == own):
            continue
        what = "it follows" if above in left else "a further answer to"
        aside[number] = f"on another branch: {what} message {above[:40]}"
        left.add(own)
    return aside


def _parents_first(rows: Iterable[tuple[int, Row]], name: str, link: str) -> list[tuple[int, Row]]:
    """Rows by their depth in the tree, else in the order of the file."""
    above = {_id(row.get(name)): _id(row.get(link)) for _, row in rows}

    def depth(place: str) -> int:
        seen: set[str] = set()
        while (place := above.get(place, "")) and place not in seen:
            seen.add(place)
        return len(seen)

    return sorted(rows, key=lambda numbered: depth(_id(numbered[1].get(name))))


def _id(value: Any) -> str:
    # Read from a spreadsheet, the number 17 may be "17.0" in one column and "17" in the other.
    return "" if value is None else str(value).strip().removesuffix(".0")


def _hits(source: SourceTable, name: str, link: str, targets: set[str]) -> int:
    if name == link or "response" in name:
        return 0
    return len({_id(row.get(name)) for _, row in source.rows} & targets)


def _root(place: str, parents: Mapping[str, str]) -> str:
    seen = {place}
    while (above := parents.get(place, "")) and above not in seen:
        seen.add(above)
        place = above
    return place
