"""What is published names no machine it was written on, and speaks to its reader only."""

import re

import pytest

SUFFIXES = {".py", ".md", ".toml", ".cff", ".yml", ".yaml", ".txt", ".sh", ""}
SKIPPED = {
    ".bench", ".git", ".venv", "build", "dist", "runs", "shared",
    "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
}  # fmt: skip
# Every word is cut in two by a "|", so that this file may be looked at, too.
CUT_WORDS = {
    "a path of some machine": (r"/wo|rk/", r"/ro|ot/", r"/ho|me/\w", r"/Use|rs/\w"),
    "a word of how it was written": (r"\biss|ue #", r"\bcla|ude\b", r"\bour age|nt\b"),
    "a mark of something unfinished": (r"\bTO|DO\b", r"\bFIX|ME\b", r"\bX|XX\b"),
}
WORDS = {
    what: re.compile("|".join(word.replace("|", "") for word in words), re.IGNORECASE)
    for what, words in CUT_WORDS.items()
}


def complaints(root):
    """`file:line: what` of each word that does not belong there."""
    found = []
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        unread = any(part in SKIPPED or part.endswith(".egg-info") for part in inside.parts)
        if unread or not path.is_file() or path.suffix not in SUFFIXES:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            found += [
                f"{inside}:{number}: {what}" for what, words in WORDS.items() if words.search(line)
            ]
    return found


def test_words(root):
    assert complaints(root) == []


@pytest.mark.parametrize("cut", ["see /wo|rk/x", "as in Iss|ue #3", "# TO|DO later"])
def test_the_guard_complains(tree, cut):
    text = cut.replace("|", "")
    root = tree({"docs/a.md": f"fine\n{text}\n", ".venv/b.py": text, "c.png": text})
    (found,) = complaints(root)
    assert found.startswith("docs/a.md:2: ")
