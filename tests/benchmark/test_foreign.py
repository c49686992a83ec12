"""Foreign methods: the protocol, and what becomes of a run whose method misbehaves."""

import dataclasses
import importlib
import json
import os
import select
import sys
from importlib.metadata import version
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import bojax
from bojax.benchmark import PeerError, Worker, _foreign, _worker, foreign, run_foreign
from bojax.benchmark._foreign import SHIPPED, describe

ENVIRONMENTS = Path(__file__).parents[2] / "benchmarks" / "environments"

SPACE = bojax.Space({"x": bojax.Float(0.0, 1.0), "n": bojax.Int(1, 3)})
# A method that counts its suggestions, and goes wrong at the third as `BAD` says.
ADAPTER = """
import os, subprocess, sys, time
PACKAGES = ("pytest", "no-such-package")

class Method:
    def __init__(self, space, seed, evaluations, offset):
        self.asked, self.told, self.start = 0, [], seed + offset

    def ask(self, q):
        self.asked += q
        if self.asked > 2 and self.start < 100:
            return self.bad(q)
        return [{{"x": (self.start + self.asked) / 1000, "n": 1}} for _ in range(q)]

    def bad(self, q):
        {bad}

    def tell(self, configs, values):
        print("talkative", configs)
        os.write(1, b"{{}}\\n")  # as a library in C would, past sys.stdout
        self.told += values

def make(space, seed, evaluations, offset=0):
    return Method(space, seed, evaluations, offset)
"""
GOOD = "return [{'x': 0.5, 'n': 2}] * q"


@pytest.fixture
def method(tmp_path):
    """Write an adapter whose third suggestion is `bad`; its description."""

    def write(bad=GOOD, source=ADAPTER, **settings):
        path = tmp_path / "method.py"
        path.write_text(source.format(bad=bad))
        return foreign(path, python=sys.executable, **settings)

    return write


def xs(configs):
    return [config["x"] for config in configs]


def run(peer, evaluate=xs, seed=0, evaluations=4, **settings):
    return run_foreign(peer, SPACE, evaluate, seed=seed, evaluations=evaluations, **settings)


# ------------------------------------------------------------------------ a run that goes well


def test_a_good_run(method):
    values, seconds, failure = run(method(), evaluations=5)
    assert (values, failure) == ([0.001, 0.002, 0.5, 0.5, 0.5], "")
    assert len(seconds) == 5 and seconds[0] > 0 and seconds == sorted(seconds)


def test_seed_and_settings_arrive(method):
    assert run(method(offset=30), seed=20, evaluations=1)[0] == [0.051]


def test_batches_and_the_shorter_last_one(method):
    sizes = []

    def evaluate(configs):
        sizes.append(len(configs))
        return xs(configs)

    values, seconds, failure = run(method(), evaluate, evaluations=5, batch=2)
    assert (sizes, len(values), failure) == ([2, 2, 1], 5, "")
    assert seconds[0] == seconds[1] < seconds[2] == seconds[3] < seconds[4]


class Clock(Worker):
    """A worker whose start takes a second, an ask ten, and a tell a hundred."""

    def call(self, name, **arguments):
        answer, _ = super().call(name, **arguments)
        return answer, {"start": 1.0, "ask": 10.0, "tell": 100.0}[name]


def test_seconds_are_what_was_used_before_a_suggestion(method):
    with Clock(method()) as worker:
        assert run(worker, evaluations=3)[1] == [11.0, 121.0, 231.0]
        assert run(worker, evaluations=3, batch=2)[1] == [11.0, 11.0, 121.0]


def test_what_a_method_is_told(method):
    told = "return [{'x': 0.25 * len(self.told) + 0.125 * (self.told[-1] is None), 'n': 1}]"
    values = iter([0.5, float("nan"), 1.0])
    seen = []

    def evaluate(configs):
        seen.extend(xs(configs))
        return [next(values)]

    run(method(told), evaluate, evaluations=3)
    assert seen == [0.001, 0.002, 0.625]  # two told, the failed one as None


def test_one_process_serves_many_runs(method):
    with Worker(method()) as worker:
        assert not run(worker)[2]
        first = worker._process.pid
        assert not run(worker)[2]
        assert worker._process.pid == first
        assert worker.peak_bytes > 1e6
    assert worker._process is None


# ------------------------------------------------------------------------------- misbehaviour

BAD = {
    "wrong type": ("return [{'x': 'high', 'n': 1}]", "x: expected a number, got 'high'"),
    "NaN": ("return [{'x': float('nan'), 'n': 1}]", "x: expected a number, got None"),
    "infinite": ("return [{'x': 1e999, 'n': 1}]", "x: expected a number, got None"),
    "missing": ("return [{'x': 0.5}]", "n: missing"),
    "unknown": ("return [{'x': 0.5, 'n': 1, 'y': 2}]", "y: not a parameter"),
    "out of range": ("return [{'x': 1.5, 'n': 1}]", "x: 1.5 is outside 0.0..1.0"),
    "off the grid": ("return [{'x': 0.5, 'n': 1.5}]", "n: 1.5 is not on its grid"),
    "too few": ("return []", "asked for 1 configurations, it gave 0"),
    "too many": ("return [{'x': 0.5, 'n': 1}] * 2", "asked for 1 configurations, it gave 2"),
    "no list": ("return {'x': 0.5, 'n': 1}", "no list of configurations"),
    "no dicts": ("return [0.5]", "no list of configurations"),
    "nothing": ("pass", "no list of configurations"),
    "not JSON": ("return [{'x': {1}, 'n': 1}]", "ask raised TypeError: cannot be sent: {1}"),
    "raises": ("raise ValueError('singular')", "ask raised ValueError: singular"),
    "exits": ("sys.exit(3)", "ask raised SystemExit: 3"),
    "dies": ("print('last words', flush=True); os._exit(7)", "exit status 7: "),
    "says why": ("print('last words', flush=True); os._exit(7)", " | last words"),
    "killed": ("os.kill(os.getpid(), 9)", "ask crashed with exit status -9"),
    "reads": ("input()", "ask raised EOFError"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_run_ends_and_the_next_goes_well(method, name):
    bad, reason = BAD[name]
    with Worker(method(bad, label="peer")) as worker:
        values, seconds, failure = run(worker)
        assert values == [0.001, 0.002] and len(seconds) == 2
        assert failure.startswith("peer: ") and reason in failure
        assert worker._process is None
        values, _, failure = run(worker, seed=100)  # this seed never goes wrong
        assert (values, failure) == ([0.101, 0.102, 0.103, 0.104], "")


CHILD = """
        child = "import sys, time; f = open(sys.argv[1], 'wb', 0); f.write(b'x'); "
        child += "print(flush=True); time.sleep(1000)"
        process = subprocess.Popen(
            [sys.executable, "-c", child, os.environ["FIFO"]], stdout=subprocess.PIPE
        )
        process.stdout.readline()
        time.sleep(1000)
"""


def test_a_hang_is_ended_with_all_it_started(method, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setenv("FIFO", str(tmp_path / "fifo"))
    pipe = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    peer = method(CHILD.strip())
    with Worker(peer) as worker:

        def evaluate(configs):
            # Only what hangs is given little time: a machine under load is slow to answer.
            hangs = configs[0]["x"] == 0.002
            worker.peer = dataclasses.replace(peer, timeout=1.0) if hangs else peer
            return xs(configs)

        values, _, failure = run(worker, evaluate)
    assert values == [0.001, 0.002] and "took longer than 1 s" in failure
    while select.select([pipe], [], [], 30.0)[0]:  # until the child's end is closed
        if not os.read(pipe, 1):
            break
    else:
        pytest.fail("a process that the method started still runs")
    os.close(pipe)


def test_a_method_that_cannot_start(method):
    peer = method(source="import no_such_library")
    for _ in range(2):
        values, seconds, failure = run(peer)
        assert (values, seconds) == ([], [])
        assert "start crashed with exit status 1" in failure
        assert failure.endswith("ModuleNotFoundError: No module named 'no_such_library'")
    with pytest.raises(PeerError, match=r"cannot be loaded: .*no_such_library"):
        peer.versions()


def test_no_such_interpreter(method, tmp_path):
    peer = dataclasses.replace(method(), python=tmp_path / "python")
    assert "cannot be started" in run(peer)[2]
    with pytest.raises(PeerError, match="cannot be run"):
        peer.content()


READY = """print('{"ready": {"versions": {}}}', flush=True); input()"""


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("print('hello')", "start gave a malformed answer: b'hello'"),
        ("print('{}')", "start gave a malformed answer: {}"),
        ("import time; time.sleep(1000)", "start took longer than 0.5 s"),
        (  # it says something all the time, but never a line
            "import time\nwhile True: print('.', end='', flush=True); time.sleep(0.1)",
            "start took longer than 0.5 s",
        ),
        ("import os, time; os.closerange(0, 3); time.sleep(1000)", "start closed its output"),
        (f"{READY}; print('[1]')", "malformed answer: b'[1]'"),
        (f"{READY}; print(1, end='')", "start crashed with exit status 0"),
        (f"""{READY}; print('{{"result": 1}}')""", "malformed answer: {'result': 1}"),
    ],
)
def test_a_broken_protocol(method, tmp_path, monkeypatch, source, reason):
    (tmp_path / "worker.py").write_text(source)
    monkeypatch.setattr(_foreign, "WORKER", tmp_path / "worker.py")
    monkeypatch.setattr(_foreign, "START_SECONDS", 0.5 if "0.5" in reason else 60.0)
    monkeypatch.setattr(_foreign, "GRACE_SECONDS", 0.1 if "closed" in reason else 60.0)
    assert reason in run(method())[2]


def test_our_own_mistakes_are_not_the_methods(method):
    with pytest.raises(ValueError, match="1 configurations went in, 2 values came"):
        run(method(), lambda configs: [0.0, 1.0])
    with pytest.raises(ZeroDivisionError):
        run(method(), lambda configs: [1 / 0])


# ------------------------------------------------------------------- what the process is like

ECHO = """
import math, os, random, sys
def fit_predict(rows, values, test_rows, **settings):
    return dict(
        rows=tuple(rows), values=[math.nan, -math.inf, 1.0], settings=settings, path=sys.path,
        threads=os.environ["OMP_NUM_THREADS"], xla=os.environ.get("XLA_FLAGS", ""),
    )
"""


def test_numbers_threads_and_settings(method, tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_some")
    (tmp_path / "random.py").write_text("raise ImportError('of the adapter's own folder')")
    rows = np.random.default_rng(0).random((5000, 8)).tolist()  # more than a pipe holds
    for threads, flags in ((1, "--xla_some --xla_cpu_multi_thread_eigen=false"), (2, "--xla_some")):
        with Worker(method(source=ECHO.replace("{", "{{"), threads=threads)) as worker:
            answer, seconds = worker.call(
                "fit_predict", rows=rows, values=[], test_rows=[], settings={"a": [1, None]}
            )
        assert answer["rows"] == rows and answer["values"] == [None, None, 1.0]
        assert answer["settings"] == {"a": [1, None]} and seconds > 0
        assert (answer["threads"], answer["xla"]) == (str(threads), flags)
        assert not {str(tmp_path), str(_foreign.WORKER.parent)} & set(answer["path"])


def test_arrays_are_sent_as_lists():
    sent = {"a": np.arange(2), "b": np.float32(0.5), "c": (True, np.nan), "d": np.array([np.inf])}
    assert _worker.plain(sent) == {"a": [0, 1], "b": 0.5, "c": [True, None], "d": [None]}


# ------------------------------------------------------------------------------- descriptions


def test_versions_are_those_installed(method):
    found = method().versions()
    assert found == {"python": sys.version.split()[0], "pytest": version("pytest")}


def test_content_is_what_decides_the_result(method):
    content = method().content()
    assert method(timeout=1.0, threads=2, label="another").content() == content
    assert method(source=ADAPTER + "# a remark").content() == content
    told = [method(source=f'"""{text}"""' + ADAPTER).content() for text in ("One.", "Another.")]
    assert told[0] == told[1]
    contents = {content}
    for source, settings in [
        (ADAPTER, {"offset": 1}),
        (ADAPTER.replace("1000", "999"), {}),
        (ADAPTER.replace('"pytest", ', ""), {}),
    ]:
        contents.add(method(source=source, **settings).content())
    assert len(contents) == 4


def test_labels_threads_and_environments(method, tmp_path, monkeypatch):
    monkeypatch.setenv("BOJAX_BENCH_ENVS", str(tmp_path))
    with pytest.raises(PeerError, match=r"botorch: its environment botorch .* `make bench-env`"):
        foreign("botorch")
    for name in ("optuna", "optuna4"):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "python").touch()
    peer = foreign("optuna", sampler="gp")
    assert (peer.label, peer.threads) == ("optuna-gp", 1)
    assert peer.python == tmp_path / "optuna" / "bin" / "python"
    older = foreign("optuna", environment="optuna4", sampler="tpe")
    assert older.label == "optuna4-tpe" and "optuna4" in str(older.python)
    assert method(source="THREADS = 3").threads == 3
    assert method(source="THREADS = 3", threads=2, label="mine").threads == 2
    assert foreign(tmp_path / "method.py").python == Path(sys.executable)


# ----------------------------------------------------------------------- spaces, as they are sent

MIXED = bojax.Space(
    {
        "kind": bojax.Categorical(["a", "b", "c"]),
        "rate": bojax.Float(1e-5, 0.1, log=True),
        "depth": bojax.Int(1, 4),
        "width": bojax.Int(16, 500, log=True, step=16, when={"depth": bojax.Range(2, 4)}),
        "share": bojax.Float(0.1, 1.0, step=0.25, when={"kind": ["a", "b"]}),
        "size": bojax.Ordinal([1, 2, 8], when={"kind": "a", "depth": [1, 3]}),
        "flag": bojax.Boolean(when={"size": 8}),
        "tail": bojax.Float(-3.0, 5.0, when=[{"flag": True}]),
        "epochs": bojax.Float(1.0, 9.0),
    },
    fidelity="epochs",
)
SENT = _worker.Space(json.loads(json.dumps(describe(MIXED))))


def test_a_space_as_it_is_sent():
    by_name = {p["name"]: p for p in SENT}
    assert list(by_name) == [name for name in MIXED.names if name != "epochs"]
    assert by_name["rate"] == {
        "name": "rate", "kind": "float", "low": 1e-5, "high": 0.1, "log": True, "step": None,
        "choices": None, "default": pytest.approx(1e-3), "when": None,
    }  # fmt: skip
    kinds = [by_name[name]["kind"] for name in ("kind", "depth", "size", "flag")]
    assert kinds == ["categorical", "int", "ordinal", "categorical"]
    assert by_name["size"]["choices"] == [1, 2, 8]
    assert by_name["width"]["when"] == {"depth": [2, 3, 4]}
    assert by_name["share"]["when"] == {"kind": ["a", "b"]}
    assert by_name["size"]["when"] == {"kind": ["a"], "depth": [1, 3]}
    assert by_name["tail"]["when"] == {"flag": [True]}


units = st.floats(0.0, 1.0)


@given(st.tuples(st.integers(0, 2), units, units, units, units, units, st.integers(0, 1), units))
def test_positions_and_configurations(positions):
    config = SENT.from_unit(positions)
    row = MIXED.encode(config)  # in bounds and on the grids
    assert SENT.active(config) == list(MIXED.decode(row))
    back = SENT.from_unit(SENT.to_unit(config))
    assert np.allclose(MIXED.encode(back), row, atol=1e-9)
    present = SENT.active(config)
    parked = {p["name"]: p["default"] for p in SENT if p["name"] not in present}
    assert SENT.filled(config) == {name: config[name] for name in present} | parked


def test_ends_of_the_positions_are_the_bounds():
    low, high = (SENT.from_unit([u if u < 1 else 1] * 8) for u in (0, 1))
    names = ("rate", "depth", "width", "size", "tail")
    assert [low[name] for name in names] == [1e-5, 1, 16, 1, -3.0]
    assert [high[name] for name in names] == [0.1, 4, 496, 8, 5.0]
    assert SENT.from_unit([0, 0, 0, 0, 0, 0.4, 0, 0])["size"] == 2  # the nearest of three
    assert high["share"] == pytest.approx(0.85)  # the last of 0.1 + k 0.25


@pytest.mark.parametrize("value", [-1e9, 0.2, 0.6, 3.0, 1e9])
def test_nearest_is_a_value_the_space_takes(value):
    config = SENT.from_unit([0, 0.5, 1, 0.5, 0.5, 0.0, 0, 0.5])
    moved = dict.fromkeys(("rate", "depth", "width", "share"), value)
    near = SENT.nearest(config | moved)
    MIXED.encode(near)
    grid = np.arange(16, 500, 16)
    assert near["width"] == grid[np.argmin(np.abs(grid - value))]
    assert near["kind"] == config["kind"]


@pytest.mark.parametrize(
    ("parameters", "settings", "complaint"),
    [
        ({"c": bojax.Categorical([(1, 2), (3, 4)])}, {}, "c: its choices .* survive JSON"),
        ({"x": bojax.Float(0, 1), "y": bojax.Float(0, 1)}, {"context": ["y"]}, "y: a context"),
        (
            {
                "x": bojax.Float(0, 1),
                "y": bojax.Float(0, 1, when={"x": bojax.Range(0.0, 0.5)}),
            },
            {},
            "y: when= gives a Range for x",
        ),
        (
            {
                "x": bojax.Boolean(),
                "n": bojax.Int(1, 2),
                "y": bojax.Float(0, 1, when=[{"x": True}, {"n": 1}]),
            },
            {},
            "y: alternatives in when=",
        ),
    ],
)
def test_what_cannot_be_sent(parameters, settings, complaint):
    with pytest.raises(PeerError, match=complaint):
        describe(bojax.Space(parameters, **settings))


# ---------------------------------------------------------------------------- shipped adapters

ADAPTERS = sorted(path.stem for path in SHIPPED.glob("*.py") if path.stem != "__init__")


def pinned(environment):
    """Names a list and its companion without dependencies pin, as they are compared."""
    files = [ENVIRONMENTS / f"{environment}{end}" for end in (".txt", ".no-deps.txt")]
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    names = [line.split("==")[0] for line in lines if "==" in line.split("#")[0]]
    return {name.lower().replace("_", "-") for name in names}


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_loads_without_its_library_and_its_packages_are_pinned(name):
    adapter = importlib.import_module(f"bojax.benchmark.peers.{name}")
    assert hasattr(adapter, "make") != hasattr(adapter, "fit_predict")
    assert adapter.__doc__ and adapter.IMPORTS
    missing = {package.lower() for package in adapter.PACKAGES} - pinned(adapter.ENVIRONMENT)
    assert missing == set()


def test_every_requirement_is_pinned():
    for file in ENVIRONMENTS.glob("*.txt"):
        lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
        assert lines and all(line.count("==") == 1 for line in lines), file.name


def test_the_variance_of_an_adapter_has_the_noise():
    draw = np.random.default_rng(0)
    rows, test_rows = draw.random((100, 1)), draw.random((500, 1))
    values, test_values = (
        10 * np.sin(3 * r[:, 0]) + 3 * draw.normal(size=len(r)) for r in (rows, test_rows)
    )
    with Worker(foreign("sklearn_gpr", python=sys.executable)) as worker:
        answer, _ = worker.call(
            "fit_predict", rows=rows.tolist(), values=values.tolist(),
            test_rows=test_rows.tolist(), settings={},
        )  # fmt: skip
    mean, variance = np.array(answer["mean"]), np.array(answer["variance"])
    # Where the data are plenty, what is left is the noise.
    assert np.sqrt(variance).mean() == pytest.approx(3.0, rel=0.2)
    assert np.mean((test_values - mean) ** 2 / variance) == pytest.approx(1.0, rel=0.2)
    assert answer["fit_seconds"] > 0 < answer["predict_seconds"]
