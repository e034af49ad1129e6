"""The pages as pages: where their links lead, what lists them all, and the site made of them."""

import re
import runpy
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING"))]
CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]


def tokens(page: Path) -> Iterator[Token]:
    """All that the page consists of, in order, what stands in lines included."""
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
        yield token
        yield from token.children or ()


def targets(page: Path) -> Iterator[str]:
    """Where links lead to and pictures are, but for addresses of other places."""
    for token in tokens(page):
        target = str(token.attrGet("href") or token.attrGet("src") or "")
        if target and not re.match(r"\w+:", target):
            yield unquote(target)


@cache
def anchors(page: Path) -> set[str]:
    """The names of headings as GitHub makes them; of equal ones the second ends in -1."""
    seen: Counter[str] = Counter()
    heading, found = False, set()
    for token in tokens(page):
        if token.type == "inline" and heading:
            text = "".join(part.content for part in token.children or () if part.content)
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found.add(f"{name}-{seen[name]}" if seen[name] else name)
            seen[name] += 1
        heading = token.type == "heading_open"
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    lost = []
    for target in targets(page):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (anchor and anchor not in anchors(place)):
            lost.append(target)
    assert lost == []


def test_a_lost_link_would_be_seen() -> None:
    assert "what-goes-where" in anchors(ROOT / "CONTRIBUTING.md")
    assert "#a-block-with-its-own-mac-rule" in {
        f"#{target.partition('#')[2]}" for target in targets(ROOT / "CONTRIBUTING.md")
    }
    assert "images/front-page.png" in set(targets(DOCS / "README.md"))


def in_navigation(entries: list | dict | str) -> Iterator[str]:
    if isinstance(entries, str):
        yield entries
    else:
        for entry in entries.values() if isinstance(entries, dict) else entries:
            yield from in_navigation(entry)


def test_every_page_is_in_the_navigation_and_on_the_first_page() -> None:
    pages = {page.name for page in DOCS.glob("*.md")}
    listed = list(in_navigation(CONFIG["nav"]))
    assert set(listed) == pages and len(listed) == len(pages)
    first = {target.partition("#")[0] for target in targets(DOCS / "README.md")}
    assert pages - first == {"README.md"}


@pytest.mark.parametrize("name", ["write_commands.py", "write_keys.py"])
def test_a_page_of_reference_is_what_its_script_writes(name: str) -> None:
    script = runpy.run_path(str(DOCS / name))
    assert script["PAGE"].read_text() == script["page"](), f"run: python docs/{name}"


def test_the_page_of_keys_has_short_forms_beside_the_keys_they_stand_for() -> None:
    """As the models take them: a word for its mapping, a window by its middle, a list or a word."""
    rows = dict(line[2:].split(" | ", 1) for line in (DOCS / "keys.md").read_text().splitlines()
                if line.startswith("| `"))  # fmt: skip
    assert rows["`train.schedule`"].startswith("`cosine`, `constant`, `poly` (its `kind`), or the")
    assert "(its `preset`), or the keys below" in rows["`train.augment`"]
    assert "`train.loss`" not in rows  # which takes no word
    assert rows["`data.preprocess.window`"].startswith("a list of 2: number or `null`, or the keys")
    assert rows["`data.preprocess.window.width`"] == "number > 0 | has to be there |"
    assert rows["`data.preprocess.spacing`"].startswith("`native`, `median` or a list of 3: number")
    assert rows["`data.split`"].startswith("text, or the keys below")
    assert not any("as explained" in told for told in rows.values())


@pytest.mark.skipif(find_spec("zensical") is None, reason="the extra `docs` is not installed")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(DOCS, tmp_path / "docs")
    config = (ROOT / "zensical.toml").read_text()
    assert 'paths = ["."]' in config  # of the packages, whose docstrings are read
    (tmp_path / "zensical.toml").write_text(config.replace('["."]', f'["{ROOT}"]'))
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert {page.stem for page in DOCS.glob("*.md")} - {"README"} <= pages
    # Python-Markdown, unlike GitHub, indents by four what belongs to an item of a list; where it is
    # less, the next item is left as it was written.
    for page in (tmp_path / "site").glob("*.html"):
        text = re.sub(r"<pre.*?</pre>", "", page.read_text(), flags=re.S)
        assert not re.search(r"^ *- \S", text.partition("<article")[2], re.M), page.name
    interface = (tmp_path / "site" / "api.html").read_text()
    assert "Every ended candidate once" in interface  # the docstring of `Search.results`
