"""Adapters: foreign methods as the bench's worker calls them, a short file each.

An adapter is run by its path in an environment that has its library and not bojax, so it
imports nothing of bojax, and its library only inside its functions. It defines one of

`make(space, seed, evaluations, **settings)`
    an object with `ask(q)`, which gives q configurations, and `tell(configs, values)`.
    `space` is a list of parameters as dicts, with a few helpers (`Space` in
    `bojax/benchmark/_worker.py`: `active`, `filled`, `to_unit`, `from_unit`); a
    configuration is a dict of plain values, where parameters that do not exist may be left
    out. Values are minimised; None is a failed evaluation, and the adapter says in its
    docstring what becomes of it.
`fit_predict(rows, values, test_rows, **settings)`
    of a surrogate: `{"mean": [...], "variance": [...], "fit_seconds": s, "predict_seconds":
    s}`, for rows in [0, 1]^d; the variance is that of a new observation, noise included.

and, as literals at its top,

`ENVIRONMENT`: the list in `benchmarks/environments/` that `make bench-env` installs for it;
`PACKAGES`: distributions whose versions are reported with its results;
`IMPORTS`: modules to load before the clock starts;
`THREADS`: cores it runs on, unless told otherwise; 1 if left out.

Each runs its library's defaults, or a recipe of the library's own documentation that its
docstring names.
"""
