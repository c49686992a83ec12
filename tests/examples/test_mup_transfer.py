"""The example runs small; its tables say what was found, and its full run shows the transfer."""

import numpy as np
import pytest

import bojax
from bojax.training import mup


@pytest.fixture
def transfer(example):
    return example("mup_transfer")


def test_a_small_run_agrees_at_the_base_and_differs_beyond(transfer, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(transfer, "BASE", 16)
    monkeypatch.setattr(transfer, "TASKS", small := {
        "standard": transfer.STANDARD, "muP": mup(transfer.STANDARD, base=16)
    })  # fmt: skip
    few = transfer.digits()
    few = bojax.ArrayData(few.x[:150], few.y[:150])
    monkeypatch.setattr(transfer, "digits", lambda: few)
    picture = tmp_path / "found.png"
    found = transfer.main(
        picture, widths=(16, 64), rates=(1e-3, 1e-2), seeds=1, epochs=2, check=False
    )
    printed = capsys.readouterr().out
    assert list(found) == list(small)
    standard, scaled = found.values()
    assert standard.shape == (2, 2) and np.isfinite(standard).all() and np.isfinite(scaled).all()
    np.testing.assert_array_equal(standard[:, 0], scaled[:, 0])
    assert (np.abs(standard[:, 1] - scaled[:, 1]) > 1e-3).all()
    assert f"{standard[0, 1]:.4f}" in printed and f"{scaled[1, 1]:.4f}" in printed
    assert picture.read_bytes().startswith(b"\x89PNG") and len(list(tmp_path.iterdir())) == 1


def test_tables_mark_the_best_rate_and_what_it_costs_elsewhere(transfer):
    rates, table = (0.1, 0.2, 0.4), np.array([[3.0, 1.0], [2.0, 4.0], [np.nan, 8.0]])
    assert transfer.best_rates(table, rates) == [0.2, 0.1]
    shown = {"widths": (64, 512), "rates": rates}
    lines = transfer.printed("some", table, **shown).splitlines()
    assert lines[-2].split()[2:] == ["2.00e-01", "1.00e-01"]
    assert lines[-1].split()[2:] == ["x", "1.00", "x", "4.00"]
    assert "2.0000*" in lines[3] and "1.0000*" in lines[2] and "nan " in lines[4]
    ends = transfer.summed_up({"some": table}, **shown).splitlines()
    assert ends[1].split()[-2:] == ["2.00e-01", "4.0000"]
    assert ends[2].split()[-2:] == ["1.00e-01", "1.0000"]


@pytest.mark.slow
def test_the_rate_of_width_64_holds_at_512_with_mup_only(transfer, tmp_path):
    found = transfer.main(tmp_path / "found.png", check=False)
    best = {name: transfer.best_rates(table, transfer.RATES) for name, table in found.items()}
    assert best["standard"][-1] < 0.5 * best["standard"][0]
    assert 0.4 < best["muP"][-1] / best["muP"][0] < 2.5
