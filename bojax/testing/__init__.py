"""Conformance suites: what bojax promises of its parts, as checks for yours, too."""

from bojax.testing._check import Check
from bojax.testing._kernels import KERNEL_CHECKS, check_kernel, kernel_checks
from bojax.testing._schedulers import SCHEDULER_CHECKS, check_scheduler, scheduler_checks
from bojax.testing._strategies import STRATEGY_CHECKS, check_strategy, strategy_checks
from bojax.testing._subject import Subject
from bojax.testing._surrogates import SURROGATE_CHECKS, check_surrogate, surrogate_checks

__all__ = [
    "KERNEL_CHECKS",
    "SCHEDULER_CHECKS",
    "STRATEGY_CHECKS",
    "SURROGATE_CHECKS",
    "Check",
    "Subject",
    "check_kernel",
    "check_scheduler",
    "check_strategy",
    "check_surrogate",
    "kernel_checks",
    "scheduler_checks",
    "strategy_checks",
    "surrogate_checks",
]
