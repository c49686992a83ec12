"""Pictures of widths: every number given is drawn, what cannot be drawn is named."""

import numpy as np
import pytest

import bojax
from bojax.analysis import coordinate_picture, transfer_picture
from bojax.training import Coordinates

SIZES = {
    "hidden": np.array([[1.0, 2.0, 3.0], [1.0, 4.0, 12.0]]),
    "model": np.array([[2.0, 2.0, 2.0], [1.0, 2.0, 2.0]]),
}
CHECK = Coordinates((64, 256), SIZES, {name: 2 * size for name, size in SIZES.items()})
LOSSES = {
    "standard": [[0.9, 0.5], [0.4, 0.6], [np.nan, 0.7]],
    "muP": [[0.9, 0.8], [0.4, 0.3], [1.0, 0.7]],
}
GIVEN = {"widths": (64, 512), "rates": (0.001, 0.01, 0.1)}


def test_slopes_are_powers_of_the_width():
    assert CHECK.slopes() == pytest.approx({"hidden": 1.0, "model": 0.0})
    assert CHECK.slopes(step=0) == pytest.approx({"hidden": 0.0, "model": -0.5})
    assert CHECK.change_slopes(1) == pytest.approx({"hidden": 0.5, "model": 0.0})
    none = Coordinates((64, 256), {"model": np.zeros((2, 1))}, {"model": np.ones((2, 1))})
    assert np.isnan(none.slopes()["model"]) and none.change_slopes()["model"] == 0.0
    lines = CHECK.table(1).splitlines()
    assert lines[0].split()[:3] == ["layer", "64", "256"]
    assert lines[1].split() == ["hidden", "2", "4", "0.50", "0.50"]


def test_outputs_are_drawn_against_the_width(tmp_path):
    path = tmp_path / "outputs.png"
    figure = coordinate_picture({"standard": CHECK, "muP": CHECK}, save=path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["standard", "muP"]
    after, before, *_ = figure.axes[1].lines
    np.testing.assert_array_equal(after.get_xydata(), [[64, 3], [256, 12]])
    np.testing.assert_array_equal(before.get_ydata(), [1, 1])
    earlier = coordinate_picture({"standard": CHECK}, step=1).axes[0].lines[0]
    np.testing.assert_array_equal(earlier.get_ydata(), [2, 4])


def test_losses_are_drawn_against_the_rate_and_the_best_stands_out(tmp_path):
    path = tmp_path / "transfer.png"
    figure = transfer_picture(LOSSES, **GIVEN, metric="error", save=path)
    assert path.read_bytes().startswith(b"\x89PNG")
    line, best, *_ = figure.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), [0.9, 0.4, np.nan])
    np.testing.assert_array_equal(best.get_xydata(), [[0.01, 0.4]])
    assert figure.axes[0].lines[2].get_label() == "width 512, best 1.0e-03"
    assert figure.axes[0].get_ylabel() == "error"


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({}, "no losses to draw"),
        ({"muP": [[1.0, 2.0]]}, r"muP has shape \(1, 2\), expected \(3, 2\)"),
        ({"muP": [[1.0, np.nan]] * 3}, "muP has a width without a finite loss"),
    ],
)
def test_what_cannot_be_drawn_is_named(losses, message):
    with pytest.raises(bojax.DataError, match=message):
        transfer_picture(losses, **GIVEN)
    with pytest.raises(bojax.DataError, match="no check to draw"):
        coordinate_picture({})
