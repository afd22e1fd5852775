"""Who is told that there is no room before anything is made for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from shared.config import Config, LimitsConfig, SessionsConfig
from shared.errors import Busy
from supervisor.pool.admission import FRESH_BYTES, Admission

GIGABYTE = 1024**3


@dataclass
class Tenant:
    """A household with a session of the one name, at work or at rest."""

    id: str
    counted: int
    at_rest: bool = False
    live: bool = True
    session: Any = field(init=False)

    def __post_init__(self) -> None:
        self.session = self

    def may_hibernate(self) -> bool:
        return self.at_rest

    def idle_age(self) -> float:
        return 1.0


class Rooms:
    """What places ask of a house."""

    store = None

    def __init__(self, most: int, gigabytes: float) -> None:
        limits = LimitsConfig(memory_total_gb=gigabytes)
        self._config = Config(sessions=SessionsConfig(max_concurrent=most), limits=limits)

    def config(self) -> Config:
        return self._config


def places(*tenants: Tenant, most: int = 10, gigabytes: float = 2.0) -> Admission:
    return Admission(cast(Any, Rooms(most, gigabytes)), cast(Mapping[str, Any], {each.id: each for each in tenants}))


def test_what_could_not_start_is_refused_before_it_is_made() -> None:
    used = GIGABYTE - FRESH_BYTES
    places(Tenant("busy", used), gigabytes=1.0).check()
    with pytest.raises(Busy) as refused:
        places(Tenant("busy", used + 1), gigabytes=1.0).check()
    assert refused.value.error_code == "memory_exhausted"


def test_whoever_is_at_rest_makes_room_and_the_first_session_is_never_refused_for_memory() -> None:
    places(Tenant("idle", 5 * GIGABYTE, at_rest=True), gigabytes=1.0).check()
    places(gigabytes=0.01).check()
    places(Tenant("asleep", 0, live=False), gigabytes=0.01).check()


def test_every_place_taken_by_work_is_said_with_the_limit() -> None:
    with pytest.raises(Busy, match="All 2 places") as refused:
        places(Tenant("a", 1), Tenant("b", 1), most=2).check()
    assert refused.value.error_code == "too_many_sessions"
    places(Tenant("a", 1), Tenant("b", 1, at_rest=True), most=2).check()
