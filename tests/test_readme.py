"""What README and guide show runs as it stands there, and what they link to exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUN = ["README.md", "docs/guide.md", "docs/methods.md"]
PAGES = sorted({*RUN, *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))})
MADE_LATER = {"docs/demo.png"}  # by `make demo`


def python_blocks(text):
    """(line, code) of each fenced python block."""
    for found in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, found.start()) + 1, found[1]


def run(name, text):
    """Run a page's blocks one after the other, as a reader would, in one namespace."""
    namespace = {"__name__": "__main__"}
    for line, code in python_blocks(text):
        # Blank lines above, so that a traceback shows the line of the page.
        exec(compile("\n" * line + code, name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("page", RUN)
def test_the_code_runs(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text()
    assert len(list(python_blocks(text))) >= 3
    run(page, text)


def test_a_broken_block_is_found(tmp_path):
    with pytest.raises(NameError, match="gone"):
        run("a.md", "text\n```python\nx = 1\n```\n```\nnot python\n```\n```python\ngone(x)\n```\n")


def broken_links(page):
    """Relative links of a page that lead nowhere."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", (ROOT / page).read_text())
    for target in targets:
        path = (ROOT / page).parent / target
        inside = str(path.resolve().relative_to(ROOT)) if "://" not in target else None
        if inside is not None and inside not in MADE_LATER and not path.exists():
            yield target


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert list(broken_links(page)) == []


def test_every_decision_is_indexed():
    index = (ROOT / "docs/decisions/README.md").read_text()
    pages = {p.name for p in (ROOT / "docs/decisions").glob("[0-9]*.md")}
    assert pages == set(re.findall(r"\]\((\d{4}-[^)]+\.md)\)", index))
