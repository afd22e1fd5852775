"""Memory that follows the database: what could not be stored is taken back in memory, too.

What must not regress: also what is changed in place, however deep in dictionaries, lists and sets, is taken back, and is the same
object afterwards, for others may hold it. Objects of other classes are not looked into: whoever changes one names it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CONTAINERS = (dict, list, deque, set)
_plain: set[type] = {str, int, float, bool, bytes, type(None)}
"""Types that are no containers, as they are met: most members are of such a one, and this is done for each change. Asking anew
what each is was a tenth of what the supervisor did for a message."""


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
    """What a container holds now, and by its name or place what each container in it holds itself; None for anything else."""
    if not isinstance(value, _CONTAINERS):
        _plain.add(type(value))
        return None
    if isinstance(value, dict):
        return dict(value), [(name, _kept(member)) for name, member in value.items() if type(member) not in _plain]
    if isinstance(value, set):
        return list(value), []
    return list(value), [(place, _kept(member)) for place, member in enumerate(value) if type(member) not in _plain]


def _put_back(value: Any, was: Any) -> None:
    """The same container, holding what it held."""
    if was is None:
        return
    held, inner = was
    for place, kept in inner:
        _put_back(held[place], kept)
    value.clear()
    value.update(held) if isinstance(value, dict | set) else value.extend(held)
