"""What is typed and what is not: a terminal's own reports are kept from Claude, and keys are not."""

from __future__ import annotations

import pytest

from supervisor.delivery.keyboard import ReportFilter

REPORTS = [
    b"\x1b[I", b"\x1b[O", b"\x1b[?62;22c", b"\x1b[>1;10;0c", b"\x1b[?0u", b"\x1b[?997;1n", b"\x1b[?2026;2$y", b"\x1b[12;40R",
    b"\x1b]11;rgb:0000/0000/0000\x1b\\", b"\x1b]10;rgb:ff/ff/ff\x07", b"\x1bP>|tmux 3.3a\x1b\\", b"\x1b[8;40;120t",
]  # fmt: skip


KEYS = [
    b"a", b"\x1b", b"\x1b[A", b"\x1b[1;5C", b"\x1b[1;2R", b"\x1bOP", b"\x1b[3~", b"\r", b"\x03", b"\x07", "é漢".encode(),
    b"\x1b]", b"\x1bP", b"\x1b[", b"\x1b_", b"\x1b[200~pasted \x1a text\x1b[201~", b"\x1b[15;2~",
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("report", REPORTS)
def test_keys_are_typed_and_reports_are_not(key: bytes, report: bytes) -> None:
    reports = ReportFilter()
    assert reports.feed(key) + reports.let_go() == key
    assert ReportFilter().feed(report + key + report) == key


@pytest.mark.parametrize("report", REPORTS)
def test_reports_are_recognised_in_pieces(report: bytes) -> None:
    for cut in range(2, len(report)):
        reports = ReportFilter()
        assert reports.feed(b"x" + report[:cut]) + reports.feed(report[cut:] + b"y") == b"xy", cut


def test_the_beginning_of_a_report_is_let_go_only_when_it_may_be_a_key() -> None:
    reports = ReportFilter()
    assert (reports.feed(b"x\x1b["), reports.doubtful) == (b"x", True)
    assert (reports.feed(b"?62;"), reports.doubtful, reports.let_go()) == (b"", False, b"")
    assert reports.feed(b"cy") == b"y"


def test_nobody_puts_claude_to_sleep_with_ctrl_z() -> None:
    for spelling in (b"\x1a", b"\x1b[122;5u", b"\x1b[122:90;69:1u", b"\x1b[27;5;122~"):
        assert ReportFilter().feed(b"a" + spelling + b"b") == b"ab"
    assert ReportFilter().feed(b"\x1b[122;1u\x1b[122;2u") == b"\x1b[122;1u\x1b[122;2u"
