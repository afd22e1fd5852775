"""An age is counted on the clock that cannot be set, by the wall only across a boot, and is never negative."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import clock

seconds = st.floats(min_value=-1e9, max_value=1e9, allow_nan=False)


@given(reading=seconds, now=seconds, wall=seconds, stored=seconds, same=st.booleans())
def test_age_is_never_negative_and_within_a_boot_ignores_the_wall(
    reading: float, now: float, wall: float, stored: float, same: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", lambda: now)
        patch.setattr(clock, "wall", lambda: wall)
        age = clock.age(reading, clock.BOOT if same else "another", int(stored * 1000))
    assert age >= 0
    truth = now - reading if same else wall - int(stored * 1000) / 1000
    assert age == pytest.approx(max(0.0, truth), abs=1e-6, rel=1e-9)


def test_readings_grow_and_the_boot_has_a_name() -> None:
    assert clock.now() <= clock.now()
    assert clock.BOOT


def test_shifts_are_read_from_their_file_and_garbage_is_no_shift(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "clock"  # type: ignore[operator]
    monkeypatch.setattr(clock, "_SHIFTS", str(file))
    before = clock.now()
    file.write_text("60 3600")
    assert clock.now() - before >= 3600
    file.write_text("what?")
    assert clock.now() - before < 3600


def test_a_wall_clock_that_was_set_forward_removes_nothing_before_the_next_boot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look(known: clock.Known | None, wall: float, reading: float) -> tuple[float, clock.Known]:
        monkeypatch.setattr(clock, "wall", lambda: wall)
        monkeypatch.setattr(clock, "now", lambda: reading)
        return clock.believed(known)

    present, known = look(None, 1000.0, 10.0)
    assert present == 1000.0
    assert look(known, 1e6, 20.0) == (1010.0, known)
    assert look(known, 1030.0, 20.0)[0] == 1030.0, "it is corrected all the time"
    assert look(known, 500.0, 20.0)[0] == 500.0, "an earlier one removes less"
    assert look(known._replace(boot="another"), 1e6, 20.0)[0] == 1e6
