"""The architecture search: conditional layers, one program, a comparison at equal work."""

import numpy as np


def test_every_architecture_is_a_member_of_one_program(example, capsys, monkeypatch):
    module = example("architecture_search")
    rng = np.random.default_rng(0)
    x = rng.random((160, 64))
    y = np.arange(160) % 10
    result = module.search("random", 0, trials=8, epochs=1, x=x, y=y)
    assert len({trial.config["depth"] for trial in result.trials}) > 1
    assert sum("train" in program.name for program in result.programs) == 1
    for trial in result.trials:
        depth = trial.config["depth"]
        assert f"skip_{depth}" in trial.config and f"skip_{depth + 1}" not in trial.config
    assert module.architectures() > 10**4


def test_a_picture_of_an_architecture_in_words(example):
    module = example("architecture_search")
    config = {"depth": 2, "width_1": 8, "operation_1": "relu", "skip_1": False}
    config |= {"width_2": 4, "operation_2": "gate", "skip_2": True}
    assert module.drawn(config) == "8 relu > +4 gate"
