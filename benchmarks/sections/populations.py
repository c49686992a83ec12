"""Section of population based training beside random search over schedules."""

from __future__ import annotations

from statistics import mean

from bojax.stats import paired_bootstrap

from . import Rows, Section, digits, losses, provenance, table

OURS = "pbt"
COLUMNS = ("validation_loss", "test_loss", "test_accuracy")
BETTER_HIGH = "test_accuracy"
FEWEST = 5  # seeds: of fewer a bootstrap interval says nothing


def section(rows: Rows) -> Section:
    """Means of every contender, and paired differences to population based training."""
    values = {
        column: {(r["contender"], r["seed"]): float(r[column]) for r in rows}
        for column in (*COLUMNS, "last_alone")
    }
    names = list(dict.fromkeys(r["contender"] for r in rows))
    lines, lost = [], []
    for name in names:
        seeds = [s for one, s in values["test_loss"] if one == name and
                 (OURS, s) in values["test_loss"]]  # fmt: skip
        line = [f"`{name}`", str(len(seeds))]
        for column in COLUMNS:
            mine, ours = ([values[column][one, s] for s in seeds] for one in (name, OURS))
            line.append(digits(mean(mine)))
            if name == OURS or len(seeds) < FEWEST:
                line.append("")
                continue
            gap = paired_bootstrap(mine, ours)
            line.append(str(gap))
            worse = gap.low > 0 if column == BETTER_HIGH else gap.high < 0
            if worse:
                lost.append(f"`{name}` by {column.replace('_', ' ')} ({gap})")
        lines.append(line)
    ours = [v for (name, _), v in values["validation_loss"].items() if name == OURS]
    alone = [v for (name, _), v in values["last_alone"].items() if name == OURS]
    first = rows[0]
    head = ["contender", "seeds", "validation loss", "minus pbt", "test loss", "minus pbt",
            "test accuracy", "minus pbt"]  # fmt: skip
    text = "\n".join(
        [
            provenance("population_based.py", rows),
            losses(lost),
            f"A perceptron on digits under fresh noise, {first['members']} members of "
            f"{first['horizon']} epochs each, `fixed x2` twice as many; winners chosen by "
            "validation loss, tested once. `fixed` is random search over rate, momentum, dropout, "
            "weight decay and the kind and shape of the rate's schedule, `constant` the same "
            "without schedules. Paired differences over splits of the data. The last values of "
            f"`{OURS}`'s winners, trained with from the start, end at a validation loss of "
            f"{digits(mean(alone))}, along their schedules at {digits(mean(ours))}.\n",
            table(head, lines),
        ]
    )
    return Section("Population based training and fixed schedules", lost, text)
