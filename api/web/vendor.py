"""Make `static/vendor/` from the npm packages named here: `python -m api.web.vendor`. For maintainers; nobody else needs npm.

There is no build step and no import map: what the browser loads are native modules, and a bare import (`"preact"`) is rewritten
when it is vendored. What the first view needs becomes one file, `preact.js`, in which each module stands in a function of its own
(a request for each of five small files would cost more than they weigh). `VENDOR.lock` names every file with its packages,
their licences, the SHA-256 of the tarball and of what lies here; a test holds the folder against it.
"""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

VENDOR = Path(__file__).parent / "static" / "vendor"
LOCK = VENDOR / "VENDOR.lock"
VERSIONS = {
    "preact": "11.2.0",
    "htm": "3.1.1",
    "@preact/signals": "2.11.4",
    "@preact/signals-core": "1.14.5",
    "marked": "18.2.1",
    "@xterm/xterm": "6.0.0",
    "@xterm/addon-fit": "0.11.0",
    "@xterm/addon-unicode11": "0.9.0",
    "lean-qr": "2.7.4",
    "@highlightjs/cdn-assets": "11.11.1",
}
JOINED = (
    ("preact", "preact", "dist/preact.mjs"),
    ("preact/hooks", "preact", "hooks/dist/hooks.mjs"),
    ("htm", "htm", "dist/htm.module.js"),
    ("@preact/signals-core", "@preact/signals-core", "dist/signals-core.mjs"),
    ("@preact/signals", "@preact/signals", "dist/signals.mjs"),
)
"""(name in imports, package, file) of what the first view needs, each before those that import it."""

OFFERED = {
    "preact": ("h", "render", "Fragment", "Component", "createContext"),
    "preact/hooks": ("useState", "useEffect", "useLayoutEffect", "useRef", "useMemo", "useCallback"),
    "htm": ("default",),
    "@preact/signals-core": ("signal", "computed", "effect", "batch", "untracked"),
    "@preact/signals": ("useSignal", "useComputed", "useSignalEffect"),
}
COPIED = {
    "marked.js": ("marked", "lib/marked.esm.js"),
    "xterm.js": ("@xterm/xterm", "lib/xterm.mjs"),
    "xterm.css": ("@xterm/xterm", "css/xterm.css"),
    "xterm-fit.js": ("@xterm/addon-fit", "lib/addon-fit.mjs"),
    "xterm-unicode.js": ("@xterm/addon-unicode11", "lib/addon-unicode11.mjs"),
    "lean-qr.js": ("lean-qr", "index.mjs"),
    "highlight.js": ("@highlightjs/cdn-assets", "es/highlight.min.js"),
}
_IMPORT = re.compile(r'import\s*\{([^}]*)\}\s*from\s*"([^"]+)";?')
_EXPORT_FROM = re.compile(r'export\s*\{([^}]*)\}\s*from\s*"([^"]+)";?')
_EXPORT = re.compile(r"export\s*\{([^}]*)\};?")
_SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$|//# sourceMappingURL=\S+", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """One npm tarball."""

    name: str
    version: str
    sha256: str
    files: dict[str, bytes]

    @property
    def licence(self) -> str:
        """The SPDX name that it gives itself."""
        return str(msgspec.json.decode(self.files["package.json"])["license"])


def main() -> int:
    """Fetch, write, lock."""
    packages = {name: fetch(name, version) for name, version in VERSIONS.items()}
    made = {"preact.js": (join(packages), sorted({package for _, package, _ in JOINED}))}
    for target, (package, source) in COPIED.items():
        made[target] = (_SOURCE_MAP.sub("", packages[package].files[source].decode()).rstrip() + "\n", [package])
    VENDOR.mkdir(parents=True, exist_ok=True)
    (VENDOR / "licences").mkdir(exist_ok=True)
    for target, (text, _) in made.items():
        (VENDOR / target).write_text(text)
    for fetched in packages.values():
        (VENDOR / "licences" / f"{_flat(fetched.name)}.txt").write_bytes(fetched.files["LICENSE"])
    LOCK.write_text(_lock(packages, made))
    return 0


def fetch(name: str, version: str) -> Package:
    """The tarball of this release, through npm's own client."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, capture_output=True)
        (tarball,) = Path(folder).iterdir()
        raw = tarball.read_bytes()
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                files[member.name.partition("/")[2]] = content.read()
    return Package(name, version, hashlib.sha256(raw).hexdigest(), files)


def join(packages: dict[str, Package]) -> str:
    """One module of the modules in JOINED: each in a function that takes what it imports and returns what it exports."""
    parts = [
        "// Preact, htm and signals, unchanged but for their imports and exports. See VENDOR.lock and licences/.\n"
    ]
    for name, package, source in JOINED:
        parts.append(f"const {_ident(name)} = (() => {{\n{wrapped(packages[package].files[source].decode())}\n}})();\n")
    for name, wanted in OFFERED.items():
        taken = ", ".join("default: htm" if part == "default" else part for part in wanted)
        parts.append(f"export const {{ {taken} }} = {_ident(name)};\n")
    parts.append("export const html = htm.bind(h);\n")
    return "".join(parts)


def wrapped(text: str) -> str:
    """The body of a function that does what this (minified) module does. Raise ValueError when it is not understood."""
    text = _SOURCE_MAP.sub("", text)
    offered: list[str] = []

    def imported(match: re.Match[str]) -> str:
        return f"const {{{_renamed(match[1], ' as ', ': ')}}} = {_ident(match[2])};"

    def passed_on(match: re.Match[str]) -> str:
        offered.extend(f"{name.strip()}: {_ident(match[2])}.{name.strip()}" for name in match[1].split(","))
        return ""

    def exported(match: re.Match[str]) -> str:
        for entry in match[1].split(","):
            inner, _, outer = entry.strip().partition(" as ")
            offered.append(f"{outer or inner}: {inner}")
        return ""

    text = _EXPORT_FROM.sub(passed_on, text)
    text = _EXPORT.sub(exported, _IMPORT.sub(imported, text))
    if text.count("export default ") == 1:
        offered.append("default: whole")
        text = text.replace("export default ", "const whole = ")
    if re.search(r"(^|[;}])\s*(import|export)\b(?!\()", text):
        raise ValueError("This module imports or exports in a way that vendor.py does not know.")
    return f"{text.strip()}\nreturn {{ {', '.join(offered)} }};"


def _renamed(names: str, old: str, new: str) -> str:
    return ", ".join(name.strip().replace(old, new) for name in names.split(","))


def _ident(name: str) -> str:
    return "m_" + re.sub(r"\W", "_", name)


def _flat(name: str) -> str:
    return name.lstrip("@").replace("/", "-")


def _lock(packages: dict[str, Package], made: dict[str, tuple[str, list[str]]]) -> str:
    tree: dict[str, Any] = {
        "packages": {
            package.name: {
                "version": package.version,
                "licence": package.licence,
                "licenceFile": f"licences/{_flat(package.name)}.txt",
                "sha256": package.sha256,
            }
            for package in packages.values()
        },
        "files": {
            target: {"from": sources, "sha256": hashlib.sha256(text.encode()).hexdigest()}
            for target, (text, sources) in sorted(made.items())
        },
    }
    return msgspec.json.format(msgspec.json.encode(tree), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.exit(main())
