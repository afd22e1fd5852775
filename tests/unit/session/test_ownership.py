"""A session is a leaf: it knows nobody who watches it or acts for it, and one module only changes each of its attributes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.harness import ROOT

SESSION = ROOT / "supervisor/session/session.py"
SELF = "session/session"
CHANGES = frozenset(
    (
        "add",
        "append",
        "clear",
        "difference_update",
        "discard",
        "extend",
        "insert",
        "pop",
        "remove",
        "setdefault",
        "update",
    )
)
"""Methods that change a list, a set or a dictionary in place."""


@cache
def owners() -> dict[str, str]:
    """Each attribute of a Session and the module that assigns it, as its `__init__` says above them; empty: none does."""
    found: dict[str, str] = {}
    lines = SESSION.read_text().splitlines()
    for node in _init().body:
        for target in _targets(node):
            above = [line.strip() for line in lines[: node.lineno] if line.strip().startswith("# ")]
            told = re.fullmatch(r"# Assigned by ([\w/]+)\.", above[-1])
            assert told or above[-1] == "# Never another one.", above[-1]
            found[target.attr] = told[1] if told else ""
    return found


def _init() -> ast.FunctionDef:
    made = next(node for node in ast.parse(SESSION.read_text()).body if getattr(node, "name", "") == "Session")
    return next(node for node in ast.walk(made) if isinstance(node, ast.FunctionDef) and node.name == "__init__")


def _targets(node: ast.AST) -> Iterator[ast.Attribute]:
    """The attributes that a statement binds, deletes, or changes a member of."""
    bound = (ast.Assign, ast.Delete)
    single = (ast.AnnAssign, ast.AugAssign, ast.For, ast.AsyncFor, ast.comprehension, ast.NamedExpr)
    places = list(node.targets) if isinstance(node, bound) else [node.target] if isinstance(node, single) else []
    if isinstance(node, ast.withitem) and node.optional_vars is not None:
        places = [node.optional_vars]
    for place in places:
        while isinstance(place, ast.Subscript | ast.Starred):
            place = place.value
        if isinstance(place, ast.Tuple | ast.List):
            for part in place.elts:
                yield from _targets(ast.Delete(targets=[part]))
        elif isinstance(place, ast.Attribute):
            yield place
    match node:
        case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[of, ast.Constant(value=str(name)), *_]):
            yield ast.Attribute(of, name)


def _grown(node: ast.AST, kept: frozenset[str]) -> Iterator[ast.Attribute]:
    """The attribute whose list, set or dictionary a call changes in place; what is `kept` has methods of its own."""
    match node:
        case ast.Call(func=ast.Attribute(attr=how, value=ast.Attribute() as grown)) if how in CHANGES:
            if grown.attr not in kept:
                yield grown


def _is_session(node: ast.AST, inside: bool) -> bool:
    """Whether an expression is a session, as they are called everywhere; `inside`: of the class itself."""
    match node:
        case ast.Name(id="self"):
            return inside
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lstrip("_") == "session"
        case ast.Call(func=ast.Name(id="cast"), args=[_, given]):
            return _is_session(given, inside)
    return False


def changed(source: str, module: str) -> Iterator[str]:
    """The attributes of a session that a module changes, apart from making them."""
    tree, kept = ast.parse(source), frozenset(name for name, owner in owners().items() if not owner)
    made = set(ast.walk(_of(tree, "__init__"))) if module == SELF else set()
    for node in ast.walk(tree):
        for target in (*_targets(node), *_grown(node, kept)):
            if node not in made and _is_session(target.value, module == SELF):
                yield target.attr


def _of(tree: ast.Module, name: str) -> ast.AST:
    made = next(node for node in tree.body if getattr(node, "name", "") == "Session")
    return next(node for node in ast.walk(made) if getattr(node, "name", "") == name)


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "supervisor").rglob("*.py")):
        yield str(path.relative_to(ROOT / "supervisor").with_suffix("")), path.read_text()


def test_each_attribute_is_changed_by_its_owner_alone() -> None:
    owned = owners()
    wrong = {
        f"{module} changes {attribute}, which is {owned.get(attribute) or 'nobody'}'s to change"
        for module, source in modules()
        for attribute in changed(source, module)
        if owned.get(attribute) != module
    }
    assert wrong == set()


def test_every_owner_changes_what_it_owns() -> None:
    sources = dict(modules())
    owned = {(owner, attribute) for attribute, owner in owners().items() if owner}
    assert {
        (owner, attribute) for owner, attribute in owned if attribute not in set(changed(sources[owner], owner))
    } == set()


def test_a_change_by_another_is_found() -> None:
    for statement in (
        "session.current = message",
        "self._session.current = message",
        "before, session.current = session.current, None",
        "session.current: object = None",
        "session.current += 1",
        "del household.session.current",
        "session.current['a'] = 1",
        "session.current.add(1)",
        "setattr(session, 'current', 1)",
        "for session.current in (): pass",
        "with nothing() as session.current: pass",
    ):
        assert list(changed(statement, "pool/pool")) == ["current"], statement
    for statement in ("self.current = 1", "audience.current = 1", "session.current", "self.current.add(1)"):
        assert list(changed(statement, "pool/pool")) == [], statement


# -- what it imports -----------------------------------------------------------------------------------------------------


def _imports(path: Path) -> set[str]:
    """The modules of ours that a module imports anywhere, also for its types only."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if _file(name).is_file() else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if _file(name).is_file()}


def _file(name: str) -> Path:
    return ROOT.joinpath(*name.split(".")).with_suffix(".py")


def _reached(name: str) -> set[str]:
    """All that a module imports, and they in turn."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        new = _imports(_file(ahead.pop())) - found
        found |= new
        ahead += new
    return found


def test_a_session_reaches_none_of_those_who_watch_it() -> None:
    watching = {f"supervisor.session.{name}" for name in ("log_reader", "observer", "receipts")}
    assert _reached("supervisor.session.session") & watching == set()
