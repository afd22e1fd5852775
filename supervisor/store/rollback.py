"""Memory that follows the database: what could not be stored is taken back in memory, too.

What must not regress: also what is changed in place, however deep in dictionaries, lists and sets, is taken back, and is the same
object afterwards, for others may hold it. Objects of other classes are not looked into: whoever changes one names it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


@contextmanager
def undone_on_failure(*records: Any) -> Iterator[None]:
    """What the database refused to keep must not stay in memory as if it were kept."""
    before = [(vars(record), _kept(vars(record))) for record in records]
    try:
        yield
    except BaseException:
        for fields, was in before:
            _put_back(fields, was)
        raise


def _kept(value: Any) -> Any:
    """What a container holds now, each member with what it holds itself; None for anything else. Most members are no containers,
    and this is done for each change: the plainest are told by their type alone."""
    if isinstance(value, dict):
        return [(name, member, None if type(member) in _PLAIN else _kept(member)) for name, member in value.items()]
    if isinstance(value, list | deque):
        return [(member, None if type(member) in _PLAIN else _kept(member)) for member in value]
    return list(value) if isinstance(value, set) else None


def _put_back(value: Any, was: Any) -> Any:
    """The same container, holding what it held."""
    if isinstance(value, dict):
        members = {name: _put_back(member, held) for name, member, held in was}
        value.clear()
        value.update(members)
    elif isinstance(value, list | deque):
        before = [_put_back(member, held) for member, held in was]
        value.clear()
        value.extend(before)
    elif isinstance(value, set):
        value.clear()
        value.update(was)
    return value
