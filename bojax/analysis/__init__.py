"""Pictures of what a sweep found. Needs matplotlib: `pip install 'bojax[plots]'`."""

from bojax.analysis._pictures import comparison_picture, sweep_picture

__all__ = ["comparison_picture", "sweep_picture"]
