"""An agent that learns to balance a pole, trained by a loop of its own and tuned like any model.

    python examples/own_loop.py                        about half a minute on two cores
    bojax sweep examples/own_loop.py --no-progress     the same beside random search

No Flax and no labels here: a task is five pure functions. An *example* is a state that the cart
and its pole start from, a batch is as many episodes as it has examples, played side by side, and
an epoch plays from every start once. `step` plays them with the policy as it is, then follows a
clipped policy gradient several times on what it saw (J. Schulman et al., "Proximal policy
optimization algorithms", 2017); how often, how cautiously and how far-sighted is searched, member
by member, inside the same compiled program. The validation part is starts that were never trained
from, played without chance.

You will see the mean number of steps that the pole stays up, of at most 500: for a policy that
has learned nothing, for a guess at the settings, and for the best settings that were found, both
trained equally long; then, once, on starts that nobody has seen.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import bojax
from bojax.training import mean_of

# ------------------------------------------------------------------ settings
STARTS = 200  # of which 3/5 are trained from
HORIZON = 500  # steps of an episode at most
TRIALS = 27  # configurations started
MAX_BUDGET = 9  # times the survivors play from every start
HIDDEN = 32  # units of the policy
CLIP = 0.2  # by how much of itself a probability may change, Schulman's figure

# What one would write down without tuning.
DEFAULT = {"lr": 3e-4, "discount": 0.99, "entropy": 1e-2, "updates": 4, "batch_size": 8}

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1e-1, log=True),
        "discount": bojax.Float(0.8, 1.0),
        "entropy": bojax.Float(1e-4, 1e-1, log=True),
        "updates": bojax.Int(1, 8),  # of the policy, an episode
        "batch_size": bojax.Ordinal([8, 24]),  # episodes played side by side
    }
)

# ------------------------------------------------------------------ the cart and its pole
# A. Barto, R. Sutton and C. Anderson, "Neuronlike adaptive elements that can solve difficult
# learning control problems", 1983: its equations and figures, in metres, kilograms and seconds.
GRAVITY, CART, POLE, HALF, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
FAR, TILTED = 2.4, 12 * np.pi / 180


def move(place, push):
    """`[4]` place, speed, angle and its speed, a push of 0 (left) or 1 (right) -> the next."""
    _, speed, angle, turning = place
    force = jnp.where(push == 1, FORCE, -FORCE)
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    inertia = (force + POLE * HALF * turning**2 * sine) / (CART + POLE)
    lever = HALF * (4.0 / 3.0 - POLE * cosine**2 / (CART + POLE))
    turns = (GRAVITY * sine - cosine * inertia) / lever
    pushes = inertia - POLE * HALF * turns * cosine / (CART + POLE)
    change = jnp.stack([speed, pushes, turning, turns])
    return place + SECONDS * change


def fallen(place):
    return (jnp.abs(place[0]) > FAR) | (jnp.abs(place[2]) > TILTED)


class Episode(NamedTuple):
    """`[T, ...]` each; `up` is 1 as long as the pole was up before the push."""

    places: jax.Array
    pushes: jax.Array
    up: jax.Array


def play(params, start, choose):
    """An episode of `HORIZON` steps; `choose(logits, t)` is what is done."""

    def one(carry, t):
        place, up = carry
        push = choose(logits(params, place), t)
        after = jnp.where(up, move(place, push), place)  # what fell stays where it fell
        return (after, up & ~fallen(after)), Episode(place, push, up.astype(jnp.float32))

    _, episode = jax.lax.scan(one, (start, ~fallen(start)), jnp.arange(HORIZON))
    return episode


# ------------------------------------------------------------------ the task's functions
def logits(params, place):
    return jnp.tanh(place @ params["in"] + params["bias"]) @ params["out"]


def init(key, hp, x):
    """`x` is a batch of one start; there is no state beside the parameters."""
    first = jax.random.normal(key, (x.shape[-1], HIDDEN))
    return {"in": first, "bias": jnp.zeros(HIDDEN), "out": jnp.zeros((HIDDEN, 2))}, {}


def predict(params, state, x, hp):
    """Steps the pole stays up from each start, `[B, 4] -> [B]`, by the likeliest push."""
    surest = lambda preferences, t: jnp.argmax(preferences)  # noqa: E731
    return jax.vmap(lambda start: play(params, start, surest).up.sum())(x)


def optimizer(hp):
    return optax.adam(hp["lr"])


def loss(params, state, played, hp, key):
    """The clipped surrogate of what was played: episodes, their log probabilities, gains.

    Where a task has a `step`, nobody but that calls its loss, so that it may take what it needs.
    """
    episodes, before, gains, weight = played
    now = jax.nn.log_softmax(logits(params, episodes.places))
    ratio = jnp.exp(chosen(now, episodes.pushes) - before)
    clipped = jnp.clip(ratio, 1.0 - CLIP, 1.0 + CLIP)
    gain = jnp.minimum(ratio * gains, clipped * gains)
    disorder = -jnp.sum(jnp.exp(now) * now, axis=-1)
    return -jnp.sum(weight * (gain + hp["entropy"] * disorder)) / jnp.sum(weight), state


def chosen(log_probabilities, pushes):
    return jnp.take_along_axis(log_probabilities, pushes[..., None], axis=-1)[..., 0]


def gains(up, discount, weight):
    """Discounted steps to come, less what is usual at that time, in deviations: `[B, T]`."""

    def back(total, now):
        total = now + discount * total
        return total, total

    _, to_come = jax.lax.scan(back, jnp.zeros(up.shape[0]), up.T, reverse=True)
    usual = jnp.sum(weight * to_come.T, axis=0) / jnp.maximum(jnp.sum(weight, axis=0), 1.0)
    above = to_come.T - usual
    spread = jnp.sqrt(jnp.sum(weight * above**2) / jnp.sum(weight))
    return above / (spread + 1e-6)


def step(carry, batch, hp, key):
    """Play a batch of episodes, then improve the policy on them `hp["updates"]` times."""
    params, state, adam = carry

    def draws(key):
        return lambda preferences, t: jax.random.categorical(
            jax.random.fold_in(key, t), preferences
        )

    keys = jax.random.split(key, len(batch.x))
    episodes = jax.vmap(lambda key, start: play(params, start, draws(key)))(keys, batch.x)
    weight = episodes.up * batch.weight[:, None]  # examples of weight 0 are padding
    before = chosen(jax.nn.log_softmax(logits(params, episodes.places)), episodes.pushes)
    played = episodes, before, gains(episodes.up, hp["discount"], weight), weight

    def improve(_, carry):
        params, adam = carry
        grads, _ = jax.grad(loss, has_aux=True)(params, state, played, hp, key)
        updates, adam = optimizer(hp).update(grads, adam, params)
        return optax.apply_updates(params, updates), adam

    params, adam = jax.lax.fori_loop(0, hp["updates"], improve, (params, adam))
    steps = jnp.sum(weight) / jnp.sum(batch.weight)
    return (params, state, adam), -steps  # shown as the training loss


TASK = bojax.Task(
    init=init,
    loss=loss,
    predict=predict,
    optimizer=optimizer,
    step=step,
    metrics={"steps": mean_of(lambda outputs, y: outputs)},
    batch_size="batch_size",
)


# ------------------------------------------------------------------ the sweep
def starts():
    """Places to start from, well off the middle, and targets that nobody looks at."""
    draw = np.random.default_rng(0)
    x = draw.uniform(-1, 1, (STARTS, 4)) * np.array([1.0, 0.5, 0.1, 0.5])
    return bojax.ArrayData(x, np.zeros(STARTS))


def sweep(**settings):
    """The sweep; `settings` are those the command line adds (store, seed, callbacks, ...)."""
    options = {
        "data": starts(),
        "metric": "steps",
        "direction": "maximize",
        "max_budget": MAX_BUDGET,
        "default": DEFAULT,  # trial 0
    }
    return bojax.Sweep(TASK, SPACE, **(options | settings))


def main():
    """Returns the mean steps of each policy, and the score of the best on the test part."""
    data = starts()
    fresh, _ = init(jax.random.key(0), None, data.x[:1])
    found = {"nothing learned": float(predict(fresh, {}, data.x, None).mean())}
    # One trial is the default alone; trained as far as the survivors are, the comparison is fair.
    guess = sweep(data=data, scheduler="full_budget").run(trials=1)
    result = sweep(data=data).run(trials=TRIALS)
    found |= {"a guess": guess.best.value, "the best": result.best.value}
    for name, steps in found.items():
        print(f"{name:16}{steps:6.1f} of {HORIZON} steps")
    print(result.best.config)
    score = result.test()
    print(f"on the test part, once: {score}")
    return found, score


if __name__ == "__main__":
    bojax.configure(cpu_devices="cores")
    main()
