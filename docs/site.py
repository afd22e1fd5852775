"""What the manual's site has that does not lie in docs/: pages of the root folder, and the list of decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "config/default.yaml")


def on_files(files: Files, config: Any) -> Files:
    """Add them, as if they lay here."""
    for name in PAGES:
        text = (ROOT / name).read_text()
        files.append(File.generated(config, Path(name).name, content=text.replace("](docs/", "](")))
    files.append(File.generated(config, "decisions/index.md", content=decisions()))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The same links and pictures work in the checkout and here, where each page is a folder; MkDocs does those in Markdown."""
    for name in PAGES:
        markdown = markdown.replace(f"](../{name})", f"]({Path(name).name})")
    return markdown.replace('src="images/', f'src="{get_relative_url("images", page.url)}/')


def decisions() -> str:
    """What a newcomer would question, one line each."""
    found = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    rows = [f"- [{path.read_text().partition(chr(10))[0].lstrip('# ')}]({path.name})" for path in found]
    return "\n".join(["# Decisions", "", "What a newcomer would question, half a page each.", "", *rows, ""])
