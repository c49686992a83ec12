"""Tune a support vector machine by ask and tell: scikit-learn's digits, a conditional space.

    python examples/svm_ask_tell.py           five splits, about two minutes on two cores
    python examples/svm_ask_tell.py --quick   a look at it, about ten seconds

You will see, for each random split of 1,797 real images, the cross-validated error that the
Gaussian process and random search reach with equally many evaluations, then the error of the
chosen machine on images that neither search has seen, looked at once. At the end stand the
means and a paired interval, which says whether the difference is more than luck.

The space is conditional: gamma does not exist for a linear kernel, the degree only for a
polynomial one. Configurations are plain dicts, so the model can come from any library.
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import bojax

# ------------------------------------------------------------------ settings
SPLITS = 5  # of the data, each with searches of its own
EVALUATIONS = 40  # configurations a search may try
BATCH = 4  # asked for together: four workers would run them side by side
FOLDS = 3  # of the cross-validation
IMAGES = 600  # images in use; the test part is taken from them
TEST = 1 / 3  # share held out for the one look at the end
METHODS = ("gp", "random")

SPACE = bojax.Space(
    {
        "kernel": bojax.Categorical(["linear", "poly", "rbf", "sigmoid"]),
        "C": bojax.Float(1e-3, 1e3, log=True),
        "gamma": bojax.Float(1e-5, 1e1, log=True, when={"kernel": ["poly", "rbf", "sigmoid"]}),
        "degree": bojax.Int(2, 5, when={"kernel": "poly"}),
        "coef0": bojax.Float(0.0, 2.0, when={"kernel": ["poly", "sigmoid"]}),
        "weights": bojax.Categorical(["equal", "balanced"]),
    }
)


# ------------------------------------------------------------------ what is tuned
def machine(config):
    """The pipeline a configuration stands for; parameters that do not exist are not passed."""
    settings = dict(config)
    weights = {"equal": None, "balanced": "balanced"}[settings.pop("weights")]
    return make_pipeline(StandardScaler(), SVC(class_weight=weights, **settings))


def error(config, x, y, folds):
    """Cross-validated share of wrong answers, on the training part alone."""
    return 1 - cross_val_score(machine(config), x, y, cv=folds).mean()


def search(strategy, x, y, *, evaluations, folds, seed):
    """The loop that ask and tell leave to you."""
    optimizer = bojax.Optimizer(SPACE, strategy=strategy, seed=seed)
    while len(optimizer.trials) < evaluations:
        trials = optimizer.ask(min(BATCH, evaluations - len(optimizer.trials)))
        optimizer.tell(trials, [error(trial.config, x, y, folds) for trial in trials])
    return optimizer.best()


# ------------------------------------------------------------------ the comparison
def main(splits=SPLITS, evaluations=EVALUATIONS, folds=FOLDS, images=IMAGES):
    """Print the table; returns its rows: `{method: (validation error, test error)}` a split."""
    x, y = load_digits(return_X_y=True)
    print(f"{images} images, {evaluations} evaluations a search, errors in %\n")
    print(f"{'':8}" + "".join(f"{m + ' cv':>11}{m + ' test':>13}" for m in METHODS))
    rows = []
    for split in range(splits):
        chosen = np.random.default_rng(split).permutation(len(x))[:images]
        train_x, test_x, train_y, test_y = train_test_split(
            x[chosen], y[chosen], test_size=TEST, random_state=split, stratify=y[chosen]
        )
        row = {}
        for method in METHODS:
            best = search(
                method, train_x, train_y, evaluations=evaluations, folds=folds, seed=split
            )
            final = machine(best.config).fit(train_x, train_y)
            row[method] = best.value, 1 - final.score(test_x, test_y)
        rows.append(row)
        print(f"split {split:<2}" + cells(row))
    print(f"{'mean':8}" + cells({m: np.mean([row[m] for row in rows], axis=0) for m in METHODS}))
    if splits > 1:
        for part, name in enumerate(("cross-validated", "test")):
            gp, random = ([100 * row[method][part] for row in rows] for method in METHODS)
            gap = bojax.stats.paired_bootstrap(random, gp)
            print(f"random search makes {gap} points more {name} errors than the model")
    return rows


def cells(row):
    """A line of the table."""
    return "".join(f"{100 * row[m][0]:11.2f}{100 * row[m][1]:13.2f}" for m in METHODS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one split, fewer images")
    small = {"splits": 1, "evaluations": 12, "images": 200}
    main(**(small if parser.parse_args().quick else {}))
