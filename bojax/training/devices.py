"""The programs of one bucket on some devices: built, compiled on first use, called.

Members are sharded over the devices and never talk to each other; data is replicated.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from bojax.configuration import jit
from bojax.errors import TaskError
from bojax.training import population as pop
from bojax.training.hyper import Hyperparameters, Structure
from bojax.training.metrics import call
from bojax.training.plan import Layout
from bojax.training.program import INIT_OPTIONS, Program, compile_program, find_program
from bojax.training.task import Batch, Task

_NEEDS_A_VALUE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_MEMBERS, _ALL = PartitionSpec("members"), PartitionSpec()
# One compilation at a time, whichever thread asks: two at once take as long as one after the
# other, and the second may find that the first was what it wanted.
_COMPILING = threading.RLock()


class Devices:
    """Where members are sharded, and how arrays get there.

    Args:
        devices: JAX devices of one kind; None for all of the default backend.
    """

    def __init__(self, devices: Sequence[Any] | None = None) -> None:
        self.devices = tuple(jax.local_devices() if devices is None else devices)
        self.mesh = jax.make_mesh(
            (len(self.devices),),
            ("members",),
            axis_types=(jax.sharding.AxisType.Auto,),
            devices=self.devices,
        )
        self.sharded = NamedSharding(self.mesh, _MEMBERS)
        self.replicated = NamedSharding(self.mesh, _ALL)

    def __len__(self) -> int:
        return len(self.devices)

    def put(self, tree: Any) -> Any:
        """Leading axis over the devices."""
        return jax.device_put(tree, self.sharded)

    def share(self, tree: Any) -> Any:
        """The whole tree on every device."""
        return jax.device_put(tree, self.replicated)

    def over_members(self, function: Callable, specs: tuple, donate: tuple = ()) -> Callable:
        """A function of one device's part as a jitted function of the whole."""
        mapped = jax.shard_map(
            function, mesh=self.mesh, in_specs=specs, out_specs=_MEMBERS, check_vma=False
        )
        return jit(mapped, donate_argnums=donate)


class Programs:
    """Init, train, eval and predict of one bucket.

    Args:
        task: what is trained.
        schema_key: what the leaves of `hp` depend on.
        structure: the bucket's static values and ceilings.
        data: abstract arrays of the data on the device that is trained on.
        judged: of that which is validated on, if it is not the same.
        devices: a :class:`Devices`.
        batch_size: examples a step.
        compiled: called with `(kind, name)` before and `(kind, name, program)` after a
            compilation, or when a program compiled elsewhere is taken over.
    """

    def __init__(
        self, task: Task, schema_key: tuple, structure: Structure, data: pop.Arrays,
        devices: Devices, *, batch_size: int, compiled: Callable, judged: pop.Arrays | None = None,
    ) -> None:  # fmt: skip
        self.task, self.structure, self.data, self.devices = task, structure, data, devices
        self.judged = data if judged is None else judged
        self.chunk, self.chunks, self.batch_size = 1, 1, batch_size
        self._schema_key, self._compiled = schema_key, compiled
        self._known: dict[str, Program] = {}
        dtype = data.x.dtype if data.shift is None else np.float32
        self.example = jax.ShapeDtypeStruct(data.x.shape[1:], dtype)

    def resize(self, chunk: int, chunks: int) -> None:
        """Calls of K chunks of C members from now on; what was compiled for others is let go."""
        self.chunk, self.chunks = chunk, chunks
        self._known.clear()

    # ------------------------------------------------------------------ the programs

    def init(self, layout: Layout, numbers: Any, hp: Any, run_key: Any) -> Any:
        """Fresh members, in the layout's slots."""
        program = self._init_program()
        return program(self.devices.put(layout.active), numbers, hp, run_key)

    def compile(self, *, init: bool) -> None:
        """Have the programs of a rung compiled; `init` for one with fresh members."""
        if init:
            self._init_program()
        self._train_program()
        self._eval_program()

    def _init_program(self) -> Program:
        return self._program(
            "init",
            lambda: self.devices.over_members(
                pop.init_chunks(self.task, self.example), (_MEMBERS, _MEMBERS, _MEMBERS, _ALL)
            ),
            lambda s: (self._active(), self._slots(np.int32), self._hp(s), self._key()),
            shapes=(self.example.shape, str(self.example.dtype)),
            options=INIT_OPTIONS,
        )

    def train(
        self, members: Any, layout: Layout, who: pop.Who, hp: Any, run_key: Any,
        arrays: pop.Arrays,
    ) -> Any:  # fmt: skip
        """The members after their steps; `members` is donated."""
        put = self.devices.put
        span = pop.Span(*map(put, layout.spans.T))
        return self._train_program()(members, put(layout.active), who, span, hp, run_key, arrays)

    def _train_program(self) -> Program:
        slots = self._slots
        return self._program(
            "train",
            lambda: self.devices.over_members(
                pop.train_chunks(self.task, self.batch_size),
                (*[_MEMBERS] * 5, _ALL, _ALL),
                donate=(0,),
            ),
            lambda s: (
                self._members(), self._active(),
                pop.Who(slots(np.int32), slots(np.int32)), self._span(), self._hp(s),
                self._key(), self._data(self.data),
            ),
            shapes=(_shapes(self.data), self.batch_size, _shapes(self.member_shapes())),
        )  # fmt: skip

    def evaluate(
        self, members: Any, layout: Layout, folds: Any, hp: Any, arrays: pop.Arrays
    ) -> Any:
        """Metrics: name -> float32 `[D * K, C]`."""
        program = self._eval_program()
        return program(_model(members), self.devices.put(layout.active), folds, hp, arrays)

    def _eval_program(self) -> Program:
        return self._program(
            "eval",
            lambda: self.devices.over_members(
                pop.evaluate_chunks(self.task), (*[_MEMBERS] * 4, _ALL)
            ),
            lambda s: (
                _model(self._members()), self._active(), self._slots(np.int32), self._hp(s),
                self._data(self.judged),
            ),
            shapes=(_shapes(self.judged), _shapes(_model(self.member_shapes()))),
        )  # fmt: skip

    def predict(self, count: int) -> Callable:
        """`(member, hp, x[count, ...]) -> outputs` for one member, its optimiser's state aside."""
        x = jax.ShapeDtypeStruct((count, *self.example.shape), self.example.dtype)
        return self._program(
            "predict",
            lambda: jit(lambda m, h, x: self.task.predict(m.params, m.state, x, h)),
            lambda s: (_model(self.member_shapes()), self._scalars(s), x),
            shapes=(_shapes(x), _shapes(_model(self.member_shapes()))),
        )

    # ------------------------------------------------------------------ abstract shapes

    def member_shapes(self) -> pop.Member:
        """One member as abstract arrays; traces `init`, compiles nothing."""
        if not hasattr(self, "_member"):
            scalar = jax.ShapeDtypeStruct((), np.int32)
            make = lambda key, trial, hp: pop.init_member(  # noqa: E731
                self.task, key, trial, hp, self.example
            )
            key = jax.ShapeDtypeStruct((2,), np.uint32)
            self._member = jax.eval_shape(make, key, scalar, self._scalars(self.structure))
        return self._member

    def check(self) -> tuple[Any, set[str]]:
        """Trace one member abstractly: init, a step, prediction, metrics; compiles nothing.

        Returns:
            What `predict` gives for a batch, as abstract arrays, and the parameters that were
            read.

        Raises:
            TaskError: a hyperparameter that is used where only a Python value will do, a loss
                or a metric that is no scalar.
        """
        recording = self.structure.recording()
        try:
            loss, outputs, metrics = self._traced_member(recording)
        except (*_NEEDS_A_VALUE, TypeError) as error:
            if isinstance(error, TypeError) and "concrete value" not in str(error):
                raise
            raise TaskError(self._who_needs_a_value()) from error
        for name, shape in {"loss": loss, **metrics}.items():
            if shape.shape != ():
                raise TaskError(f"{name}: expected a scalar for a batch, got shape {shape.shape}.")
        return outputs, recording.named

    def largest(self) -> int:
        """Bytes of the largest intermediate of one member's prediction of a training batch."""
        member, hp = self.member_shapes(), self._scalars(self.structure)
        x = jax.ShapeDtypeStruct((self.batch_size, *self.example.shape), self.example.dtype)
        predict = lambda m, h, x: self.task.predict(m.params, m.state, x, h)  # noqa: E731
        return _largest(jax.make_jaxpr(predict)(member, hp, x).jaxpr)

    def _traced_member(
        self, structure: Structure, known: Mapping[str, Any] = MappingProxyType({})
    ) -> tuple[Any, Any, dict]:
        """Loss, outputs and metrics of one step, abstractly, with some values `known`."""
        size, y = self.batch_size, self.data.y

        def whole(key: Any, number: Any, hp: Hyperparameters) -> tuple:
            values, active, steps, step = hp.tree_flatten()[0]
            steps = known.get("hp.steps", steps)
            hp = Hyperparameters(values | known, active, steps, hp.structure, step)
            member = pop.init_member(self.task, key, number, hp, self.example)
            x = jnp.zeros((size, *self.example.shape), self.example.dtype)
            batch = Batch(x, jnp.zeros((size, *y.shape[1:]), y.dtype), jnp.ones(size, jnp.float32))
            inner = member.params, member.state, member.optimizer
            (params, state, _), loss = pop.train_step(
                self.task, inner, batch, hp, jax.random.wrap_key_data(key)
            )
            outputs = self.task.predict(params, state, x, hp)
            metrics = {
                name: metric.finalise(
                    call(metric.accumulate, outputs, batch.y, batch.weight, hp=hp)
                )
                for name, metric in self.task.metrics
            }
            return loss, outputs, jax.tree.map(jnp.asarray, metrics)

        key = jax.ShapeDtypeStruct((2,), np.uint32)
        number = jax.ShapeDtypeStruct((), np.int32)
        return jax.eval_shape(whole, key, number, self._scalars(structure))

    def _who_needs_a_value(self) -> str:
        """The message for a task that cannot be traced: whose value would help it."""
        scalars = self._scalars(self.structure)
        names = [name for name in scalars if name not in self.structure.static]
        for name in ("hp.steps", *names):
            kind = "int32" if name == "hp.steps" else scalars[name].dtype.name
            try:
                self._traced_member(self.structure, {name: np.dtype(kind).type(1)})
            except (*_NEEDS_A_VALUE, TypeError, ValueError):
                continue  # another one needs its value, or this one another value than 1
            if name == "hp.steps":
                return (
                    "hp.steps: a traced number is used where Python needs its value; take a "
                    "schedule of bojax.training.schedules, whose horizon may be traced."
                )
            remedy = f"declare it static (Task(static=[{name!r}])), one program for each value"
            if kind == "float32":
                remedy = "search an Ordinal of a few values and declare it static"
            return (
                f"{name}: a traced number is used where Python needs its value (an `if`, a shape, "
                f"float()). Use it in arithmetic, in jnp.where or jax.lax.cond; or {remedy}."
            )
        return (
            f"task: a traced number is used where Python needs its value; it is one or more of "
            f"{names}. Use them in arithmetic, or declare them static."
        )

    def _rows(self) -> int:
        return len(self.devices) * self.chunks

    def _abstract(self, shape: tuple, dtype: Any, *, whole: bool = False) -> Any:
        sharding = self.devices.replicated if whole else self.devices.sharded
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    def _slots(self, dtype: Any, *rest: int) -> Any:
        return self._abstract((self._rows(), self.chunk, *rest), dtype)

    def _active(self) -> Any:
        return self._abstract((len(self.devices),), np.int32)

    def _span(self) -> pop.Span:
        return pop.Span(*[self._abstract((self._rows(),), np.int32)] * 3)

    def _key(self) -> Any:
        return self._abstract((2,), np.uint32, whole=True)

    def _data(self, arrays: pop.Arrays) -> Any:
        return jax.tree.map(lambda a: self._abstract(a.shape, a.dtype, whole=True), arrays)

    def _members(self) -> Any:
        return jax.tree.map(lambda a: self._slots(a.dtype, *a.shape), self.member_shapes())

    def _hp(self, structure: Structure) -> Hyperparameters:
        return jax.tree.map(lambda a: self._slots(a.dtype), self._scalars(structure))

    def _scalars(self, structure: Structure) -> Hyperparameters:
        names = {"float32": np.float32, "int32": np.int32, "bool": np.bool_, "code": np.int32}
        scalar = lambda kind: jax.ShapeDtypeStruct((), names[kind])  # noqa: E731
        return Hyperparameters(
            {name: scalar(kind) for name, kind, _ in self._schema_key if kind != "static"},
            {name: scalar("bool") for name, _, _ in self._schema_key},
            scalar("int32"),
            structure,
            scalar("int32"),
        )

    def _program(
        self, kind: str, make: Callable, arguments: Callable, *, shapes: tuple,
        options: dict | None = None,
    ) -> Program:  # fmt: skip
        slot = f"{kind}{shapes}" if kind == "predict" else kind
        if slot in self._known:
            return self._known[slot]
        with _COMPILING:
            return self._found_or_compiled(slot, kind, make, arguments, shapes, options)

    def _found_or_compiled(
        self, slot: str, kind: str, make: Callable, arguments: Callable, shapes: tuple,
        options: dict | None,
    ) -> Program:  # fmt: skip
        if slot not in self._known:
            key = (
                kind, self.task, self._schema_key, shapes, self.devices.devices,
                self.chunk, self.chunks,
            )  # fmt: skip
            program = find_program(key, self.structure)
            if program is None:
                name = f"batch {self.batch_size}" if kind == "train" else ""
                self._compiled(kind, name)
                program = compile_program(
                    key, kind, name, self.structure, make, arguments, options=options
                )
                self._compiled(kind, name, program, new=True)
            else:
                self._compiled(kind, program.name, program, new=False)
            self._known[slot] = program
        return self._known[slot]


def _largest(jaxpr: Any) -> int:
    """Bytes of the largest array that a trace makes, in its loops too."""
    most = 0
    for equation in jaxpr.eqns:
        for inner in jax.tree.leaves(list(equation.params.values())):
            closed = getattr(inner, "jaxpr", inner)
            most = max(most, _largest(closed) if hasattr(closed, "eqns") else 0)
        sizes = (v.aval for v in equation.outvars if hasattr(v.aval, "size"))
        most = max([most, *(int(a.size) * getattr(a.dtype, "itemsize", 4) for a in sizes)])
    return most


def _shapes(tree: Any) -> tuple:
    leaves, structure = jax.tree.flatten(tree)
    return structure, *((tuple(a.shape), str(a.dtype)) for a in leaves)


def _model(member: pop.Member) -> pop.Member:
    """What predicts: without the optimiser's state, so that optimisers share these programs."""
    return member._replace(optimizer=())
