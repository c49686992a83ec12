"""Acquisitions: what makes a row worth evaluating; one family a file."""

from bojax.acquisitions._joint import base_samples
from bojax.acquisitions.confidence import UCB, Deviation
from bojax.acquisitions.cost import LogEIPerCost
from bojax.acquisitions.feasibility import ConstrainedLogEI, LogFeasibility
from bojax.acquisitions.improvement import EI, PI, LogPI
from bojax.acquisitions.knowledge_gradient import KnowledgeGradient
from bojax.acquisitions.log_ei import LogEI, log_expected_improvement, log_h
from bojax.acquisitions.log_normal import LogNormalEI
from bojax.acquisitions.max_value import Gibbon, MaxValueEntropy, gumbel_minima
from bojax.acquisitions.q_log_ei import QLogEI, QLogNEI, prune_baseline
from bojax.acquisitions.q_ucb import QUCB
from bojax.acquisitions.thompson import Thompson

__all__ = [
    "EI",
    "PI",
    "QUCB",
    "UCB",
    "ConstrainedLogEI",
    "Deviation",
    "Gibbon",
    "KnowledgeGradient",
    "LogEI",
    "LogEIPerCost",
    "LogFeasibility",
    "LogNormalEI",
    "LogPI",
    "MaxValueEntropy",
    "QLogEI",
    "QLogNEI",
    "Thompson",
    "base_samples",
    "gumbel_minima",
    "log_expected_improvement",
    "log_h",
    "prune_baseline",
]
