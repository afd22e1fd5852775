"""What the CLI's screen shows, told from its shape and not from one release's wording.

    prompt    an empty prompt box has the focus          notice   "press Enter to continue"
    draft     the box holds text                          editor   the box waits for a person's editor
    menu      a list with a pointer on the cursor's row   blank    nothing yet
    other     something else: nothing may be typed

A prompt box is a row that starts with the pointer glyph between two rules, with the cursor in it. A menu's pointer is
on the cursor's row, or the last indented one of the screen. What Claude or a person wrote can look like either: it is
told by the marks that the transcript puts in the first column (`●`, `❯`, `✻`), which no dialog has between its rule and
its end. A dialog has words of its own and, unless the cursor stands in it, a rule or a drawing above it; what Enter and
Esc do counts only where it says so itself, never in a tip above it or in a status line. Wording only ever refines what a
menu is about; when no wording matches it is a `dialog`, with the screen's text and the raw choices. Real screens of both
releases are in `tests/unit/screens/`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from shared.bus.messages import Choice, WaitingFor
from supervisor.claude.mode_row import mode

_RULE = re.compile(r"^\s?[─━╌╭╰][─━╌╮╯]{9,}|^[─━]{3,}.*[─━]{2,}$")
_SOLID = re.compile(r"^\s?[─━]{10,}|^[─━]{3,}.*[─━]{2,}$")
_DRAWING = re.compile(r"[█▓▒░▐▛▜▘▝▗▖▄▀]{2,}|\.{10,}")
_TRANSCRIPT = re.compile(r"^(?:[●⏺✻✽✶✳✢❯>]\s|  ⎿)")
_BOX = re.compile(r"^[❯>›!#]([\s\u00a0]|$)")
_POINTER = re.compile(r"^(?P<lead>[\s│┃|]*)[❯›▶▸➤]\s*(?P<rest>\S.*)$")
_NUMBERED = re.compile(r"^(?P<lead>[\s│┃|]*)(?P<pointer>[❯›▶▸➤])?\s*(?P<number>\d{1,2})[.)]\s+(?P<label>\S.*)$")
_MARK = re.compile(r"^(?:[✔✓☑☐◉◯○●]|\[[ x✔✓]\])\s*|\s+[✔✓]$")
_KEY = re.compile(r"\b(enter|return|esc|escape)\s+(?:to\s+)?((?!to\b)[a-z][a-z ]{1,30}[a-z])", re.IGNORECASE)
_LEAVE = re.compile(r"cancel|close|exit|go back|dismiss|return|quit|continue|skip", re.IGNORECASE)
_RUNS = re.compile(r"interrupt|stop|background", re.IGNORECASE)
"""What Esc does to a turn that runs: its line is no dialog's."""

_ANY_KEY = re.compile(r"press\s+any\s+key", re.IGNORECASE)
_HINT = re.compile(r"\b(esc|enter|return|tab|space|ctrl)\b.*\bto\b|↑|↓|←/→", re.IGNORECASE)

_SUBJECTS: list[tuple[WaitingFor, re.Pattern[str]]] = [
    (
        "trust",
        re.compile(r"\btrust\b.{0,80}\b(folder|files|project|directory|workspace)|accessing workspace", re.I | re.S),
    ),
    (
        "login",
        re.compile(r"select login method|log ?in with|/login|api key|oauth|paste code|browser didn.t open", re.I),
    ),
    ("rate_limit", re.compile(r"\b(usage|rate|session|weekly)[ -]limit", re.I)),
    (
        "setup",
        re.compile(
            r"text style|\btheme\b|security notes|renderer|settings (error|warning)|configuration error|bypass permissions|"
            r"get(ting)? started|terminal setup|mcp server|new in this version",
            re.I,
        ),
    ),
    ("plan", re.compile(r"would you like to proceed|ready to code|here is claude.s plan|written up a plan", re.I)),
    ("permission", re.compile(r"(?<!what )do you want to|allow .{0,60}\?|\bpermission\b", re.I)),
]
"""What a dialog is about, looked for in its text above the choices; only trust and
login are also told by the choices."""

_LIMIT_TITLE = re.compile(r"what do you want to do\?", re.I)
_LIMIT_CHOICE = re.compile(r"\blimit (?:to )?resets?\b|\busage credits\b", re.I)
"""The dialog that comes up by itself when a usage limit is reached names it in its choices alone."""

_PEER_TITLE = re.compile(r"held message\b|always deliver\b", re.I)
"""The dialog about what a peer has sent, told by its title alone: its body is the sender's, and may look like any other. So is
what the sender calls himself in the one that comes of it, on whether to deliver whatever else is held."""

_NOT_LOGGED_IN = re.compile(
    r"(?:^|\s{2})(?:not logged in|invalid api key|please log ?in)\b[^·]* · (?:please )?run /login$",
    re.IGNORECASE | re.MULTILINE,
)
"""A row of the CLI's own, at the right of those below the box; a person's status line may say half of it."""

_EDITOR = re.compile(r"^\s*save and close (?:the )?editor to continue(?:\.{3}|…)?$", re.IGNORECASE)
_COUNTER = re.compile(r"\b(\d{1,3}) of (\d{1,3})\s*$")


@dataclass(frozen=True)
class Menu:
    """A list to choose from; `pointer` is the index of the marked choice."""

    title: str
    text: str
    choices: list[Choice]
    pointer: int
    subject: WaitingFor
    numbered: bool

    @property
    def digest(self) -> str:
        """The same for the same question, wherever the pointer stands; another one where title, text, counter or choices
        differ."""
        return _digest("\n".join([*_spoken(self.text), "", *(choice.label for choice in self.choices)]))

    @property
    def counter(self) -> tuple[int, int] | None:
        """Which of how many it is, when Claude asks several things at once ("1 of 2")."""
        match = _COUNTER.search(next(iter(self.text.split("\n")), ""))
        return (int(match.group(1)), int(match.group(2))) if match else None


@dataclass(frozen=True)
class ScreenReading:
    """What the screen shows."""

    kind: str
    draft: str = ""
    menu: Menu | None = None
    text: str = ""
    keys: tuple[Choice, ...] = ()
    not_logged_in: bool = False
    mode: str | None = None
    cursor_text: str = ""
    """The row of its text on which the cursor stands: what is being filled in."""

    @property
    def title(self) -> str:
        """The first line of its text."""
        return next((line.strip() for line in self.text.split("\n") if line.strip()), "")

    @property
    def digest(self) -> str:
        """The same for the same dialog, by its words."""
        return self.menu.digest if self.menu is not None else _digest("\n".join([self.kind, *_spoken(self.text)]))


def goes_on(before: ScreenReading, now: ScreenReading, own: bool = False, resized: bool = False) -> bool:
    """Whether a dialog that is on the screen may be the one that was there a moment ago, changed by a person's keys: the
    pointer or the cursor has moved, and only where it stands, or stood, there are other words. Of what the CLI offers by
    itself (`own`: settings, lists) only the title has to stay. `resized`: what was wrapped at another width is the same."""
    if before.digest == now.digest:
        return True
    if not now.title or _joined(before.title) != _joined(now.title):
        return resized and _resembles(before, now)
    if own or (resized and _resembles(before, now)):
        return True
    if before.menu is not None and now.menu is not None:
        pointed = {before.menu.pointer, now.menu.pointer}
        one, other = ([c.label for c in menu.choices] for menu in (before.menu, now.menu))
        same = len(one) == len(other) and all(one[i] == other[i] or i in pointed for i in range(len(one)))
        return same and _spoken(before.menu.text) == _spoken(now.menu.text)
    if before.kind != now.kind or before.kind not in ("notice", "other"):
        return False
    filled = {before.cursor_text, now.cursor_text}
    return [r for r in _ticking(before) if r not in filled] == [r for r in _ticking(now) if r not in filled]


def _resembles(before: ScreenReading, now: ScreenReading) -> bool:
    one, other = (
        _joined("".join([reading.text, *(c.label for c in reading.menu.choices)] if reading.menu else reading.text))
        for reading in (before, now)
    )
    return before.kind == now.kind and one == other


def _joined(text: str) -> str:
    """A text without its spaces and frames: the same however wide the screen is."""
    return re.sub(r"[\s─-╿]+", "", text)


def _spoken(text: str) -> list[str]:
    """The rows of a text that say something. The title is wrapped by nothing, but what stands at its right moves."""
    rows = [row.rstrip() for row in text.split("\n") if row.strip(" ─━╌╭╮╰╯│┃")]
    return [" ".join(rows[0].split()), *rows[1:]] if rows else []


def _ticking(reading: ScreenReading) -> list[str]:
    """The rows of a notice; what counts the seconds, or turns round, does not make it another one."""
    return [row if _COUNTER.search(row) else re.sub(r"[\W\d_]+", " ", row).strip() for row in _spoken(reading.text)]


def _digest(text: str) -> str:
    return "d_" + hashlib.sha256(text.encode()).hexdigest()[:12]


def read(rows: list[str], cursor: tuple[int, int], is_faint: Callable[[int, int], bool]) -> ScreenReading:
    """Classify a screen. `rows` are right-trimmed; `cursor` is column and row."""
    if not any(rows):
        return ScreenReading("blank")
    box = _prompt_box(rows, cursor)
    if box is not None:
        top, bottom = box
        footer = "\n".join(rows[bottom + 1 :])
        draft = _draft(rows[top:bottom], top, is_faint)
        refused = bool(_NOT_LOGGED_IN.search(footer))
        return ScreenReading("draft" if draft else "prompt", draft=draft, not_logged_in=refused, mode=mode(footer))
    if _waits_for_editor(rows):
        return ScreenReading("editor", text="\n".join(rows).strip("\n"))
    menu = _menu(rows, cursor)
    if menu is not None:
        return ScreenReading("menu", menu=menu, text=menu.text, keys=_keys(rows[_start(rows, cursor[1]) :]))
    start = _start(rows, len(rows))
    own = rows[start:]
    filled = rows[cursor[1]].strip(" │┃") if cursor[1] < len(rows) else ""
    if start > 0 and not _is_below_box(rows, start - 1) and not any(_TRANSCRIPT.match(row) for row in own):
        text, keys = _plain(own), _keys(own)
        if keys and re.search(r"\w", text):
            return ScreenReading("notice", text=text, keys=keys, cursor_text=filled)
    return ScreenReading("other", text="\n".join(rows).strip("\n"), cursor_text=filled)


def _waits_for_editor(rows: list[str]) -> bool:
    """Whether the last two rules stand around the sentence that replaces the prompt box while an editor runs."""
    rules = [i for i, row in enumerate(rows) if _SOLID.match(row)][-2:]
    if len(rules) < 2 or rules[1] != rules[0] + 2 or any(rows[rules[1] + 1 :]):
        return False  # 2.1.197 leaves it standing above what it draws when the editor has ended
    return _EDITOR.match(rows[rules[0] + 1]) is not None


def _is_below_box(rows: list[str], rule: int) -> bool:
    """Whether a rule is the lower one of a prompt box in which the cursor does not stand: only its footer is below it."""
    if not _RULE.match(rows[rule]):
        return False
    top = next((i for i in range(rule - 1, -1, -1) if _RULE.match(rows[i])), None)
    if top is not None:
        return top + 1 < rule and _BOX.match(rows[top + 1]) is not None
    above = rows[:rule]
    if not any(row.strip() for row in above) or any(_TRANSCRIPT.match(row) for row in above[1:]):
        return False
    return all(row[:2] in ("", "  ", "❯ ", "❯\u00a0") for row in above)  # its upper rule is out of sight


def _start(rows: list[str], end: int) -> int:
    """Where the dialog begins whose choices begin at `end`: below the last rule, or below the banner's drawing."""
    rule = next((i for i in range(end - 1, -1, -1) if _SOLID.match(rows[i])), -1)
    drawn = next((i for i in range(end - 1, rule, -1) if _DRAWING.search(rows[i])), rule)
    return drawn + 1


def _plain(rows: list[str]) -> str:
    return "\n".join(row.strip(" │┃") for row in rows if not _DRAWING.search(row)).strip("\n")


def _keys(rows: list[str]) -> tuple[Choice, ...]:
    """What the last rows say that Enter and Esc do here."""
    hints = "\n".join([row for row in rows if row.strip()][-4:])
    found: dict[str, Choice] = {}
    if _ANY_KEY.search(hints):
        found["enter"] = Choice(id="enter", label="Continue")
    for match in _KEY.finditer(hints):
        name = "enter" if match.group(1).lower() in ("enter", "return") else "escape"
        does = match.group(2).strip()
        # Esc is named whatever it does there: in the settings of 197 it first clears the search.
        if _LEAVE.search(does) or (name == "escape" and not _RUNS.search(does)):
            found.setdefault(name, Choice(id=name, label=f"{does[0].upper()}{does[1:]}"))
    return tuple(found[name] for name in ("enter", "escape") if name in found)


def _prompt_box(rows: list[str], cursor: tuple[int, int]) -> tuple[int, int] | None:
    x, y = cursor
    if y >= len(rows):
        return None
    bottom = next((i for i in range(y, len(rows)) if i > y and _RULE.match(rows[i])), None)
    if bottom is None or x < 1:
        return None  # a question's rows look like a box and have a rule below them, but their cursor is in column 0
    top = next((i for i in range(y, -1, -1) if _RULE.match(rows[i])), None)
    if top is None and all(row[:2] in ("", "  ", "❯ ", "❯\u00a0") for row in rows[:bottom]):
        return (0, bottom)  # a draft higher than the screen has pushed the upper rule out of sight
    if top is None or top == y:
        return None
    if not _BOX.match(rows[top + 1]):
        return None
    return (top + 1, bottom)


def _draft(box: list[str], top: int, is_faint: Callable[[int, int], bool]) -> str:
    lines = []
    for index, row in enumerate(box):
        text = row[2:] if len(row) > 2 else ""
        if text.strip():
            first = 2 + len(text) - len(text.lstrip())
            if is_faint(first + 1, top + index):
                text = ""
        lines.append(text)
    return "\n".join(lines).strip()


def _menu(rows: list[str], cursor: tuple[int, int]) -> Menu | None:
    on_cursor = cursor[1] < len(rows) and _POINTER.match(rows[cursor[1]]) is not None
    marked = [i for i, row in enumerate(rows) if (m := _POINTER.match(row)) and m.group("lead")]
    if not on_cursor and not marked:
        return None
    pointer_row = cursor[1] if on_cursor else marked[-1]
    found = _numbered_choices(rows, pointer_row) or _plain_choices(rows, pointer_row)
    if found is None:
        return None
    choices, pointer, first, last, numbered = found
    start = _start(rows, first)
    if not on_cursor and (start == 0 or _is_below_box(rows, start - 1)):
        return None  # nothing separates it from what was said
    tail = rows[last + 1 :]
    if any(_TRANSCRIPT.match(row) for row in (*rows[start:first], *tail)):
        return None
    if not on_cursor and not any(_HINT.search(row) for row in tail):
        return None
    text = _plain(rows[start:first])
    # One with words: on a screen that was made narrower the end of a rule stands in a row of its own until all is redrawn.
    title = next((row for row in text.split("\n") if re.search(r"\w", row)), "")
    if not title:
        return None  # a box that grows by a row, half drawn: once in 4,000 messages one was taken for a dialog
    labels = "\n".join([*(choice.label for choice in choices), *tail])
    asks = "\n".join(row for row in text.split("\n") if row == title or row.rstrip().endswith("?"))
    subject = _subject(asks, _SUBJECTS) or _subject(f"{text}\n{labels}", _SUBJECTS[:2]) or "dialog"
    subject = "rate_limit" if _LIMIT_TITLE.match(title) and _LIMIT_CHOICE.search(labels) else subject
    subject = "peer" if _PEER_TITLE.match(title) else subject
    return Menu(title=title, text=text, choices=choices, pointer=pointer, subject=subject, numbered=numbered)


def _subject(text: str, subjects: list[tuple[WaitingFor, re.Pattern[str]]]) -> WaitingFor | None:
    return next((name for name, pattern in subjects if pattern.search(text)), None)


_Found = tuple[list[Choice], int, int, int, bool]


def _numbered_choices(rows: list[str], pointer_row: int) -> _Found | None:
    match = _NUMBERED.match(rows[pointer_row])
    if not match:
        return None
    indexes = {pointer_row: match}
    wanted = int(match.group("number"))
    for step in (-1, 1):
        number, row, blanks = wanted + step, pointer_row + step, 0
        while 0 <= row < len(rows) and number >= 1 and blanks < 6:
            other = _NUMBERED.match(rows[row])
            if other and int(other.group("number")) == number:
                indexes[row] = other
                number, blanks = number + step, 0
            else:
                blanks += 1
            row += step
    order = sorted(indexes)
    choices = []
    for position, row in enumerate(order):
        until = order[position + 1] if position + 1 < len(order) else row + 1
        described = " ".join(
            rows[r].strip() for r in range(row + 1, until) if rows[r].strip() and not _RULE.match(rows[r])
        )
        choices.append(
            _choice(indexes[row].group("number"), indexes[row].group("label"), described, row == pointer_row)
        )
    return choices, order.index(pointer_row), order[0], order[-1], True


def _plain_choices(rows: list[str], pointer_row: int) -> _Found | None:
    match = _POINTER.match(rows[pointer_row])
    if match is None:
        return None
    column = len(match.group("lead")) + 2  # behind it there may be room for a mark: `❯ ✔ Auto`, `❯   Dark mode`

    def belongs(row: int) -> bool:
        if not 0 <= row < len(rows) or not rows[row].strip() or _RULE.match(rows[row]) or _HINT.search(rows[row]):
            return False
        return len(rows[row]) - len(rows[row].lstrip(" │┃")) >= column

    first = last = pointer_row
    while belongs(first - 1):
        first -= 1
    while belongs(last + 1):
        last += 1
    span = range(first, last + 1)
    labels = [rows[pointer_row][column:] if row == pointer_row else rows[row].strip(" │┃") for row in span]
    choices = [_choice(str(i + 1), label, "", first + i == pointer_row) for i, label in enumerate(labels)]
    if len(choices) < 2:
        return None
    return choices, pointer_row - first, first, last, False


def _choice(number: str, label: str, description: str, selected: bool) -> Choice:
    return Choice(
        id=number,
        label=_MARK.sub("", label.strip(" │┃")).strip(),
        description=description or None,
        selected=selected,
    )


def trust_choice(menu: Menu) -> Choice | None:
    """The one choice of a trust dialog that trusts the folder; None unless it is beyond doubt."""
    if menu.subject != "trust":
        return None
    yes = [c for c in menu.choices if re.search(r"\btrust\b|\byes\b|\bproceed\b", c.label, re.I)]
    yes = [c for c in yes if not re.search(r"\bno\b|n't|\bnot\b|\bexit\b|\bcancel\b", c.label, re.I)]
    return yes[0] if len(yes) == 1 else None
