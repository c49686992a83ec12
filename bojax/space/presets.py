"""Spaces to begin with: usual hyperparameters of usual models, with where the ranges are from.

Each is a plain :class:`bojax.Space`; take it apart to change it:

    parameters = bojax.space.presets.mlp().parameters
    space = bojax.Space({**parameters, "lr": bojax.Float(1e-4, 1.0, log=True)})

Sources, by the names used below:

- LCBench: L. Zimmer, M. Lindauer and F. Hutter, "Auto-PyTorch Tabular", IEEE TPAMI 43 (2021).
- PD1: Z. Wang et al., "Pre-trained Gaussian Processes for Bayesian Optimization", JMLR 25 (2024).
- AlgoPerf: G. E. Dahl et al., "Benchmarking Neural Network Training Algorithms",
  arXiv:2306.07179 (2023).
- Tuning Playbook: V. Godbole et al., "Deep Learning Tuning Playbook" (2023).
- HPOBench: K. Eggensperger et al., "HPOBench", NeurIPS Datasets and Benchmarks (2021).
- XGBoost: T. Chen and C. Guestrin, KDD (2016), and the parameters of its documentation.

What a source does not give (the shape of a convolution, a kernel's degree) is called
customary in the preset that has it.
"""

from __future__ import annotations

from bojax.space.parameters import Categorical, Float, Int, Ordinal
from bojax.space.space import Space

__all__ = ["cnn", "gradient_boosting", "mlp", "random_forest", "svm", "transformer"]


def mlp() -> Space:
    """A multilayer perceptron trained by SGD with momentum; the ranges of LCBench.

    Returns:
        `batch_size`, `lr`, `momentum`, `weight_decay`, `layers`, `width` (of the widest),
        `dropout`.

    Example:
        >>> import bojax
        >>> bojax.space.presets.mlp().names[:3]
        ('batch_size', 'lr', 'momentum')
    """
    return Space(
        {
            "batch_size": Int(16, 512, log=True),
            "lr": Float(1e-4, 1e-1, log=True),
            "momentum": Float(0.1, 0.99),
            "weight_decay": Float(1e-5, 1e-1),
            "layers": Int(1, 5),
            "width": Int(64, 1024, log=True),
            "dropout": Float(0.0, 1.0),
        }
    )


def cnn() -> Space:
    """A convolutional network trained by SGD with Nesterov momentum and polynomial decay.

    The optimiser is PD1's (momentum by its distance from 1, up to 0.999), weight decay and
    batch size LCBench's. Kernel size, stride, padding, filters and pooling are customary.

    Returns:
        `lr`, `one_minus_momentum`, `decay_power`, `decay_fraction`, `weight_decay`,
        `batch_size`, `blocks`, `filters`, `kernel_size`, `stride`, `padding`, `pooling` and
        `pool_size` where there is pooling. Without pooling the stride is what shrinks an
        image, so "none" with a stride of 1 is forbidden.

    Example:
        >>> import bojax
        >>> space = bojax.space.presets.cnn()
        >>> all(c["stride"] == 2 for c in space.sample(20) if c["pooling"] == "none")
        True
    """
    return Space(
        {
            "lr": Float(1e-5, 10.0, log=True),
            "one_minus_momentum": Float(1e-3, 1.0, log=True),
            "decay_power": Float(0.1, 2.0),
            "decay_fraction": Float(0.01, 0.99),
            "weight_decay": Float(1e-5, 1e-1, log=True),
            "batch_size": Int(16, 512, log=True),
            "blocks": Int(1, 5),
            "filters": Int(16, 256, log=True),
            "kernel_size": Ordinal([3, 5, 7]),
            "stride": Ordinal([1, 2]),
            "padding": Categorical(["same", "valid"]),
            "pooling": Categorical(["max", "average", "none"]),
            "pool_size": Ordinal([2, 3], when={"pooling": ["max", "average"]}),
        },
        forbidden=[{"pooling": "none", "stride": 1}],
    )


def transformer(*, trials: int = 25) -> Space:
    """A transformer trained by AdamW; the ranges of AlgoPerf's baselines.

    Args:
        trials: how many will be run. The Tuning Playbook's advice for Adam: below 10 only
            the learning rate (and what regularises), from 10 also the first moment's decay,
            from 25 epsilon, and from 100 ("many more") the second moment's.

    Returns:
        `lr`, `weight_decay`, `dropout`, `label_smoothing`, `warmup_fraction`, and
        `one_minus_beta1`, `epsilon`, `one_minus_beta2` by the trials.

    Example:
        >>> import bojax
        >>> "one_minus_beta1" in bojax.space.presets.transformer(trials=8).names
        False
    """
    parameters: dict = {
        "lr": Float(1e-4, 1e-2, log=True),
        "weight_decay": Float(5e-3, 1.0, log=True),
        "dropout": Ordinal([0.0, 0.1]),
        "label_smoothing": Ordinal([0.1, 0.2]),
        "warmup_fraction": Ordinal([0.02, 0.05, 0.1]),  # about AlgoPerf's 5%
    }
    if trials >= 10:
        parameters["one_minus_beta1"] = Float(0.02, 0.5, log=True)
    if trials >= 25:
        parameters["epsilon"] = Float(1e-10, 1e-3, log=True)  # customary: about 1e-8
    if trials >= 100:
        parameters["one_minus_beta2"] = Float(1e-4, 1e-1, log=True)  # customary: about 1e-3
    return Space(parameters)


def svm() -> Space:
    """A support vector machine; C and gamma as in HPOBench.

    Kernel, degree and the constant term are customary.

    Returns:
        `C`, `kernel`, `gamma` (not with a linear kernel), `degree` (polynomial) and `coef0`
        (polynomial and sigmoid).

    Example:
        >>> import bojax
        >>> space = bojax.space.presets.svm()
        >>> sorted(space.decode(space.encode({"C": 1.0, "kernel": "linear"})))
        ['C', 'kernel']
    """
    return Space(
        {
            "C": Float(2**-10, 2**10, log=True),
            "kernel": Categorical(["rbf", "linear", "poly", "sigmoid"]),
            "gamma": Float(2**-10, 2**10, log=True, when={"kernel": ["rbf", "poly", "sigmoid"]}),
            "degree": Int(2, 5, when={"kernel": "poly"}),
            "coef0": Float(0.0, 1.0, when={"kernel": ["poly", "sigmoid"]}),
        }
    )


def random_forest() -> Space:
    """A random forest; the ranges of HPOBench, whose fidelity is 16 to 512 trees.

    Returns:
        `max_depth`, `min_samples_split`, `min_samples_leaf` and `features_power`: each split
        looks at d ** features_power of d features.

    Example:
        >>> import bojax
        >>> bojax.space.presets.random_forest().with_fidelity("trees", 16, 512).fidelity
        'trees'
    """
    return Space(
        {
            "max_depth": Int(1, 50, log=True),
            "min_samples_split": Int(2, 128, log=True),
            "min_samples_leaf": Int(1, 20),
            "features_power": Float(0.0, 1.0),
        }
    )


def gradient_boosting() -> Space:
    """Gradient-boosted trees; HPOBench's ranges, whose fidelity is 50 to 2,000 trees.

    The share of lines, the least weight of a child and the way trees grow are parameters of
    XGBoost in customary ranges.

    Returns:
        `learning_rate`, `max_depth` (if grown by depth), `max_leaves` (if by loss),
        `column_share`, `reg_lambda`, `subsample`, `min_child_weight`, `grow`.

    Example:
        >>> import bojax
        >>> space = bojax.space.presets.gradient_boosting()
        >>> {("max_depth" in c) == (c["grow"] == "depthwise") for c in space.sample(9)}
        {True}
    """
    return Space(
        {
            "learning_rate": Float(2**-10, 1.0, log=True),
            "grow": Categorical(["depthwise", "lossguide"]),
            "max_depth": Int(1, 50, log=True, when={"grow": "depthwise"}),
            "max_leaves": Int(2, 1024, log=True, when={"grow": "lossguide"}),
            "column_share": Float(0.1, 1.0),
            "reg_lambda": Float(2**-10, 2**10, log=True),
            "subsample": Float(0.1, 1.0),
            "min_child_weight": Float(0.1, 100.0, log=True),
        }
    )
