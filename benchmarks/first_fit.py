"""Seconds to the first fit, and suggestion, of a fresh process beside `import jax`.

    python benchmarks/first_fit.py          5 rounds, without and with a persistent cache

Each round starts three processes: one imports JAX, one fits 50 points in 6 columns for the first
time, one does the same with JAX's persistent compilation cache, filled before. Importing is not
part of the fit's seconds. Whole processes, from their start to their end, are timed too: one that
imports JAX, and one that tells an `Optimizer` ten results and asks for the first suggestion of the
model, without and with the cache. Rows go to benchmarks/rows/first_fit.csv.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time

IMPORT = "import time; t = time.perf_counter(); import jax; print(time.perf_counter() - t)"
FIT = """
import sys, time
import jax
import numpy as np
import bojax
if sys.argv[1]:
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
draw = np.random.default_rng(0)
rows = draw.random((50, 6))
data = bojax.surrogates.Data(rows, np.sin(4 * rows[:, 0]) + 0.1 * draw.normal(size=50))
key = jax.random.key(0)
surrogate = bojax.surrogates.gp()
t = time.perf_counter()
surrogate.fit(key, data)
print(time.perf_counter() - t)
"""

SUGGEST = """
import sys
import jax
import bojax
if sys.argv[1]:
    jax.config.update("jax_compilation_cache_dir", sys.argv[1])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
optimizer = bojax.Optimizer({f"x{i}": bojax.Float(0, 1) for i in range(6)})
for i in range(10):
    config = {f"x{j}": (0.37 * i * (j + 1)) % 1.0 for j in range(6)}
    optimizer.tell(config, sum((x - 0.3) ** 2 for x in config.values()))
optimizer.ask()
"""


def process(code: str, *arguments: str) -> float:
    """Seconds of a fresh process from its start to its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)
    return time.perf_counter() - began


def timed(code: str, *arguments: str) -> float:
    """The seconds that a fresh process prints last."""
    command = [sys.executable, "-c", code, *arguments]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(told.splitlines()[-1])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    settings = parser.parse_args(arguments)
    import record

    run, machine, rows = record.started(), record.machine(), []
    with tempfile.TemporaryDirectory() as cache:
        timed(FIT, cache)
        process(SUGGEST, cache)
        for round_ in range(settings.rounds):
            seconds = {
                "import jax": timed(IMPORT),
                "first fit": timed(FIT, ""),
                "first fit, persistent cache": timed(FIT, cache),
                "import jax, whole process": process("import jax"),
                "first suggestion, whole process": process(SUGGEST, ""),
                "first suggestion, whole process, persistent cache": process(SUGGEST, cache),
            }
            for what, value in seconds.items():
                rows.append(
                    {"run": run, "what": what, "round": round_, "seconds": round(value, 4)}
                    | machine
                )
            print({what: round(value, 2) for what, value in seconds.items()}, flush=True)
    record.append(record.ROWS / "first_fit.csv", rows)
    return rows


if __name__ == "__main__":
    main()
