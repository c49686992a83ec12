"""The sweep of examples/digits_mlp.py over three folds and two seeds: six members a trial.

What `benchmarks/kills.py --folds` kills.
"""

import importlib.util
from pathlib import Path

from sklearn.datasets import load_digits

import bojax

_PLACE = Path(__file__).parent.parent / "examples" / "digits_mlp.py"
_SPEC = importlib.util.spec_from_file_location("digits_mlp", _PLACE)
_EXAMPLE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_EXAMPLE)
TRIALS, DEFAULT, TASK = _EXAMPLE.TRIALS, _EXAMPLE.DEFAULT, _EXAMPLE.TASK


def sweep(**settings):
    """As the example's, judged by cross-validation."""
    x, y = load_digits(return_X_y=True)
    data = bojax.ArrayData(x, y, split=bojax.CrossValidation(3), normalize=True)
    return _EXAMPLE.sweep(**({"data": data, "seeds": 2, "max_budget": 9} | settings))
