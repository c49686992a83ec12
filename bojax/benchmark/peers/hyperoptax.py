"""hyperoptax's `BayesianSearch` with its defaults, `n_parallel` being q.

hyperoptax 0.2.0, its `optimize` loop taken apart: `get_next_params`, then `update_state`, from
one key. Both are jitted, which they are written for and `optimize` leaves out: it traces and
compiles anew at every suggestion. The first run on a space has the compiling in its seconds.

Spaces are `LinearSpace`, `LogSpace`, `QLinearSpace` and `QLogSpace`; other grids, ordered
numbers and booleans are a `DiscreteSpace`. Its documentation rules out strings, and such
choices end the run as unsupported. It has no conditions: an unused parameter is told as it was
suggested. It has no failed evaluations: one counts as the worst value so far, since a NaN
would spoil every later fit. Values are float32, moved inside the bounds where they round past
them.
"""

import functools

ENVIRONMENT = "hyperoptax"
PACKAGES = ("hyperoptax", "jax", "jaxlib", "optax", "numpy")
IMPORTS = ("hyperoptax", "jax.numpy", "optax")
GRID = 1000  # values that a DiscreteSpace is given at most


class Loop:
    def __init__(self, space, seed, evaluations):
        import jax
        from hyperoptax import BayesianSearch

        self.space, self.spaces = space, {p["name"]: described(p) for p in space}
        self.key = jax.random.PRNGKey(seed)
        self.state, _ = BayesianSearch.init(self.spaces, n_max=evaluations, maximize=False)
        self.params, self.worst = None, 0.0

    def ask(self, q):
        self.params = steps(q)[0](self.state, self.split())
        columns = {name: values.tolist() for name, values in self.params.items()}
        rows = [{name: values[i] for name, values in columns.items()} for i in range(q)]
        return [self.space.nearest(self.named(row)) for row in rows]

    def tell(self, configs, values):
        import jax.numpy as jnp

        self.worst = max([self.worst, *(v for v in values if v is not None)])
        told = jnp.array([self.worst if v is None else v for v in values])
        self.state = steps(len(values))[1](self.state, self.split(), told, self.params)

    def split(self):
        import jax

        self.key, key = jax.random.split(self.key)
        return key

    def named(self, row):
        """A choice is the one nearest to the number that came, which went through float32."""
        choices = {p["name"]: p["choices"] for p in self.space if p["choices"]}
        return {
            n: min(choices[n], key=lambda c, v=v: abs(c - v)) if n in choices else v
            for n, v in row.items()
        }


@functools.cache
def steps(q):
    """Kept from run to run: what is compiled for a space serves all of its seeds."""
    import jax
    from hyperoptax import BayesianSearch

    search = BayesianSearch(n_parallel=q, maximize=False)
    return jax.jit(search.get_next_params), jax.jit(search.update_state)


def described(p):
    from hyperoptax import DiscreteSpace, LinearSpace, LogSpace, QLinearSpace, QLogSpace

    low, high, step = p["low"], p["high"], p["step"]
    if p["choices"]:
        if not all(isinstance(c, (bool, int, float)) for c in p["choices"]):
            raise ValueError(f"{p['name']}: unsupported: choices that are no numbers")
        return DiscreteSpace(tuple(float(c) for c in p["choices"]))
    if p["kind"] == "int" and step == 1:
        return (QLogSpace if p["log"] else QLinearSpace)(low, high)
    if step is not None and not p["log"] and (high - low) / step < GRID:
        return DiscreteSpace(tuple(low + i * step for i in range(int((high - low) / step) + 1)))
    return (LogSpace if p["log"] else LinearSpace)(low, high)


def make(space, seed, evaluations):
    return Loop(space, seed, evaluations)
