"""When a transcript is made to look younger."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.claude.settings.set_up import CLEANUP_DAYS, cleanup_days
from supervisor.pool.transcripts import DAY_SECONDS, is_due


def test_long_before_claude_would_delete_it() -> None:
    assert not is_due(9 * DAY_SECONDS, 30.0)
    assert is_due(11 * DAY_SECONDS, 30.0)


@pytest.mark.parametrize(
    ("settings", "days"),
    [
        ("{}", CLEANUP_DAYS),
        ('{"cleanupPeriodDays": 3}', 3.0),
        ('{"cleanupPeriodDays": 0}', CLEANUP_DAYS),
        ("x", CLEANUP_DAYS),
    ],
)
def test_the_period_is_the_persons(tmp_path: Path, settings: str, days: float) -> None:
    (tmp_path / "settings.json").write_text(settings)
    assert cleanup_days(tmp_path) == days
