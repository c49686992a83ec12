"""Ray Tune's bookkeeping of trials that cost nothing: one step each, actors reused."""

import os
import tempfile
import time

ENVIRONMENT = "ray"
PACKAGES = ("ray",)
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")


def fit_predict(rows, values, test_rows, trials=100, cores=2):
    """Not a prediction: seconds of `Tuner.fit`, Ray's own start not included."""
    import ray
    from ray import tune

    class Nothing(tune.Trainable):
        def setup(self, config):
            self.config = config

        def reset_config(self, config):
            self.config = config
            return True

        def step(self):
            return {"loss": sum(self.config.values()), "done": True}

        def save_checkpoint(self, folder):
            return None

        def load_checkpoint(self, checkpoint):
            pass

    if not ray.is_initialized():
        ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False)
    space = {f"x{i}": tune.uniform(0.0, 1.0) for i in range(5)}
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            Nothing,
            param_space=space,
            tune_config=tune.TuneConfig(
                num_samples=trials, reuse_actors=True, metric="loss", mode="min"
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        began = time.perf_counter()
        results = tuner.fit()
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "trials": len(results)}
