"""Acquisitions: what makes a row worth evaluating; one family a file."""

from bojax.acquisitions.log_ei import LogEI, log_expected_improvement, log_h

__all__ = ["LogEI", "log_expected_improvement", "log_h"]
