"""A run of a scheduler that compares replicas, along a table of results."""

import numpy as np

from bojax.schedulers import DONE


def race(scheduler, results, restart=lambda scheduler: scheduler):
    """Every trial along its row of results; how many replicas each was given."""
    reached = {}
    while (jobs := scheduler.next_jobs(10**6)) is not DONE:
        for job in jobs:
            reached[job.trial] = job.stop
            each = [float(value) for value in results[job.trial][job.start : job.stop]]
            scheduler.report(job.trial, job.stop, float(np.mean(each)), each=each)
        scheduler = restart(scheduler)
    return [reached[trial] for trial in sorted(reached)]
