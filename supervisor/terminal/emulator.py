"""The terminal emulator's library, loaded without reading its C header again at every start.

pyghostty gives libghostty's whole header to cffi when it is imported: 0.2 s of parsing (a third of the supervisor's start)
for declarations that are the same every time. They lie beside this module in the form that cffi takes at once
(`emulator_abi.py`, made by `python -m supervisor.terminal.emulator`), and pyghostty's `_ffi` module is put together from
them. What must not regress: another pyghostty, whose header or `_ffi` differs, is imported as it wants to be; that is
slower, and never wrong.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "pyghostty"
ABI = Path(__file__).with_name("emulator_abi.py")
TWINS = """
typedef struct { uint16_t x; uint32_t y; uint64_t _pad; } GhosttyPointValueS;
typedef struct { GhosttyPointTag tag; GhosttyPointValueS value; } GhosttyPointS;
"""
"""What `_ffi` adds to the header: cffi passes no union by value."""


def folder() -> Path:
    """Where pyghostty is, which is not imported for it."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ImportError(f"{PACKAGE} is not installed", name=PACKAGE)
    return Path(found.origin).parent


def digest() -> str:
    """Of the header, and of the module that is replaced."""
    return hashlib.sha256(b"".join((folder() / name).read_bytes() for name in ("_cdef.py", "_ffi.py"))).hexdigest()


def generate(target: Path = ABI) -> None:
    """Write the declarations of the installed pyghostty, with the digest of what they were made from."""
    from cffi import FFI

    header: dict[str, Any] = {}
    exec((folder() / "_cdef.py").read_text(encoding="utf-8"), header)
    made = FFI()
    made.cdef(header["CDEF"])
    made.cdef(TWINS)
    made.set_source("emulator_abi", None)
    made.emit_python_code(str(target))
    _, _, body = target.read_text(encoding="utf-8").partition("\n")
    told = "Made from pyghostty's header by `python -m supervisor.terminal.emulator`; not to be changed by hand."
    target.write_text(f'"""{told}"""\n\nDIGEST = "{digest()}"\n{body}', encoding="utf-8")


def install() -> bool:
    """Have pyghostty use the declarations that lie here, if they are its own; return whether it does."""
    from supervisor.terminal import emulator_abi

    if f"{PACKAGE}._ffi" in sys.modules or digest() != emulator_abi.DIGEST:
        return False
    sys.modules[f"{PACKAGE}._ffi"] = _bound(emulator_abi.ffi)
    return True


def _bound(ffi: Any) -> ModuleType:
    """The module `_ffi` of pyghostty: the library behind the declarations."""
    ending = ".dylib" if sys.platform == "darwin" else ".so"
    lib = ffi.dlopen(os.environ.get("PYGHOSTTY_LIB") or str(folder() / "_lib" / f"libghostty-vt{ending}"))

    class GhosttyError(RuntimeError):
        """As pyghostty's."""

    def check(result: int, what: str) -> None:
        if result:
            raise GhosttyError(f"{what} failed: {result}")

    functions: dict[str, Any] = {}

    def union_fn(name: str, signature: str) -> Any:
        if name not in functions:
            functions[name] = ffi.cast(signature, ffi.addressof(lib, name))
        return functions[name]

    module = ModuleType(f"{PACKAGE}._ffi")
    module.__dict__.update(ffi=ffi, lib=lib, check=check, GhosttyError=GhosttyError, union_fn=union_fn)
    return module


if __name__ == "__main__":
    generate()
else:
    install()
    from pyghostty import Terminal as Terminal
    from pyghostty._ffi import check as check
    from pyghostty._ffi import ffi as ffi
    from pyghostty._ffi import lib as lib
    from pyghostty.core import init_sized as init_sized
