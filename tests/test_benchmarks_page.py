"""The page of figures is what the raw rows say, and the scripts write rows it can read."""

import importlib
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    """`bench("make_page")` is that script as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name in {"make_page", "record", "programs", "import_time", "store"}:
            del sys.modules[name]


COMMON = {"load": 0.5, "threads": 1, "cores": 2, "python": "3.11.9", "bojax": "0.1.0"}


def latency(run, seconds):
    """Rows of a run: `seconds[side, kind] = [...]`."""
    return [
        {"run": run, "side": side, "kind": kind, "round": i, "seconds": value,
         "observations": 100, "columns": 6, **COMMON}
        for (side, kind), values in seconds.items()
        for i, value in enumerate(values)
    ]  # fmt: skip


NEW = {
    ("bojax", "cold"): [20.0], ("optuna", "cold"): [2.0],
    ("bojax", "scratch"): [0.1], ("optuna", "scratch"): [0.2],
    ("bojax", "warm"): [0.02, 0.01, 0.04], ("optuna", "warm"): [0.05, 0.07, 0.06],
}  # fmt: skip


def test_the_page_is_made_from_the_rows(bench):
    make_page = bench("make_page")
    assert (BENCHMARKS / "README.md").read_text() == make_page.page(BENCHMARKS / "rows"), (
        "run python benchmarks/make_page.py"
    )


def test_medians_ratios_and_losses_first(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    old = {key: [9.0] for key in NEW}
    record.append(tmp_path / "ask_latency.csv", latency("2030-01-02T00:00:00", NEW))
    record.append(tmp_path / "ask_latency.csv", latency("2030-01-01T00:00:00", old))
    text = make_page.page(tmp_path)
    assert "| warm | 0.02 (0.01 to 0.04) | 0.06 (0.05 to 0.07) | 3.00 |" in text
    assert "| cold | 20 | 2 | 0.10 |" in text
    assert "**Loses:** cold (0.10)." in text
    assert text.index("Loses:") < text.index("| cold") < text.index("| warm")
    assert "2030-01-02 00:00:00; 1 of 2 cores, load average 0.5 to 0.5" in text
    assert "python 3.11.9, bojax 0.1.0" in text


def test_a_changed_row_changes_the_page(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    file = tmp_path / "ask_latency.csv"
    record.append(file, latency("2030", NEW))
    before = make_page.page(tmp_path)
    file.write_text(file.read_text().replace("0.06,", "0.08,"))
    assert make_page.page(tmp_path) != before


def test_no_rows_no_figures(bench, tmp_path):
    assert "No rows have been recorded yet" in bench("make_page").page(tmp_path)


def test_columns_do_not_change_under_a_file(bench, tmp_path):
    record = bench("record")
    record.append(tmp_path / "a.csv", [{"a": 1}])
    with pytest.raises(ValueError, match="move it"):
        record.append(tmp_path / "a.csv", [{"b": 1}])


def test_scripts_write_rows_the_page_can_read(bench, tmp_path, capsys):
    bench("store").main(["--rows", str(tmp_path / "store.csv")])
    bench("import_time").main(["--rounds", "1", "--rows", str(tmp_path / "import_time.csv")])
    text = bench("make_page").page(tmp_path)
    assert "| commit of one result |" in text
    assert "| `import jax` |" in text and "| 1.00 |" in text


@pytest.mark.slow
def test_a_second_space_of_the_class_compiles_nothing(bench, tmp_path):
    found = bench("programs").main(["--observations", "10", "--rows", str(tmp_path / "p.csv")])
    assert found == 0
