"""What the calls answer, as types: for the OpenAPI document, and checked against real answers by the tests.

Routes build plain dictionaries, because most of what they answer comes from the bus as it is; these structs say what is
promised about them. More members may come; those without a default are always there.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Shape(Struct, rename="camel", frozen=True, kw_only=True):
    """Base of every answer."""


class Success(Shape, frozen=True, kw_only=True):
    """It worked."""

    success: Literal[True]


class Problem(Shape, frozen=True, kw_only=True):
    """A refusal or a failure: the legacy `{success, error}` beside RFC 9457's members. `code` is stable, for programs."""

    success: Literal[False]
    error: str
    code: str
    retryable: bool
    type: str
    title: str
    status: int
    detail: str
    request_id: str | None = None
    data: dict[str, Any] = {}


class StreamedEvent(Shape, frozen=True, kw_only=True):
    """One event of a stream. `event` is its kind, or `gap`: what came between is not kept any more."""

    id: str | None = None
    event: str | None = None
    data: str


class EventGap(Shape, frozen=True, kw_only=True):
    """The `data` of a `gap`: events behind `after` are not kept any more."""

    after: int
    oldest: int
    head: int
    epoch: str
    reason: str
