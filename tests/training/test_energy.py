"""Joules of made-up counters."""

import sys
import threading
import types

import pytest

from bojax.training import energy
from bojax.training.energy import EnergyMeter, joules

RANGE = 262_143_328_850


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)


def domain(root, folder, name, count, wrap=RANGE):
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    for file, value in (("name", name), ("energy_uj", count), ("max_energy_range_uj", wrap)):
        (path / file).write_text(f"{value}\n")


def test_packages_are_summed_and_what_they_contain_is_not(tmp_path):
    def write(packages, inner):
        domain(tmp_path, "intel-rapl:0", "package-0", packages[0])
        domain(tmp_path, "intel-rapl:1", "package-1", packages[1])
        domain(tmp_path, "intel-rapl:0:0", "core", inner)
        domain(tmp_path, "intel-rapl:2", "psys", inner)
        domain(tmp_path, "intel-rapl-mmio:0", "package-0", inner)

    write((5_000_000, 1_000_000), 0)
    with EnergyMeter(tmp_path) as meter:
        write((7_500_000, 2_000_000), 900_000_000)
    assert meter.parts() == {"cpu package-0": 2.5, "cpu package-1": 1.0}
    assert joules(meter.parts()) == 3.5


def test_a_counter_that_wraps_goes_on_counting(tmp_path):
    domain(tmp_path, "intel-rapl:0", "package-0", 900, wrap=1_000)
    with EnergyMeter(tmp_path) as meter:
        for count in (100, 950, 50):  # 200, 850, 100
            domain(tmp_path, "intel-rapl:0", "package-0", count, wrap=1_000)
            meter.sample()
    assert joules(meter.parts()) == pytest.approx(1_150e-6)


def test_the_thread_reads_between_and_ends_with_the_block(tmp_path, monkeypatch):
    names = lambda: [thread.name for thread in threading.enumerate()]  # noqa: E731
    read = threading.Event()
    monkeypatch.setattr(energy, "INTERVAL", 0.001)
    monkeypatch.setattr(EnergyMeter, "sample", lambda self: read.set())
    domain(tmp_path, "intel-rapl:0", "package-0", 0)
    with EnergyMeter(tmp_path):
        assert read.wait(60)
        assert "bojax-energy" in names()
    assert "bojax-energy" not in names()
    with EnergyMeter(tmp_path / "none"):
        assert "bojax-energy" not in names()


def test_nothing_where_nothing_reports(tmp_path):
    with EnergyMeter(tmp_path / "none") as meter:
        pass
    assert meter.parts() == {} and joules(meter.parts()) is None


def test_counters_that_cannot_be_read_are_none(tmp_path, monkeypatch):
    """One of two packages alone would be half of the truth. Permissions do not stop root, so
    that the refusal is made up."""
    domain(tmp_path, "intel-rapl:0", "package-0", 1)
    domain(tmp_path, "intel-rapl:1", "package-1", 1)
    refused = tmp_path / "intel-rapl:1" / "energy_uj"
    whole = type(tmp_path).read_text

    def read_text(path, *arguments, **settings):
        if path == refused:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **settings)

    with EnergyMeter(tmp_path) as meter:
        monkeypatch.setattr(type(tmp_path), "read_text", read_text)
    assert joules(meter.parts()) is None  # refused on the way
    with EnergyMeter(tmp_path) as meter:
        pass
    assert joules(meter.parts()) is None  # refused from the start
    monkeypatch.undo()
    refused.write_text("no number")
    with EnergyMeter(tmp_path) as meter:
        pass
    assert joules(meter.parts()) is None


class Nvml(types.ModuleType):
    """A made-up NVML of two GPUs that count millijoules."""

    class NVMLError(Exception):
        pass

    def __init__(self, counts):
        super().__init__("pynvml")
        self.counts, self.open = counts, False

    def nvmlInit(self):
        self.open = True

    def nvmlShutdown(self):
        self.open = False

    def nvmlDeviceGetCount(self):
        return len(self.counts)

    def nvmlDeviceGetHandleByIndex(self, number):
        return ("handle", number)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        assert self.open
        if self.counts[handle[1]] is None:
            raise self.NVMLError("Not Supported")
        return self.counts[handle[1]]


def test_gpus_count_beside_packages_and_nvml_is_closed(tmp_path, monkeypatch):
    nvml = Nvml([1_000, 50_000])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    domain(tmp_path, "intel-rapl:0", "package-0", 0)
    with EnergyMeter(tmp_path) as meter:
        nvml.counts = [3_500, 50_100]
        domain(tmp_path, "intel-rapl:0", "package-0", 4_000_000)
    assert meter.parts() == {"cpu package-0": 4.0, "gpu 0": 2.5, "gpu 1": 0.1}
    assert not nvml.open


@pytest.mark.parametrize("after", [[None], [500]])
def test_gpus_that_do_not_count_or_start_anew_are_left_out(tmp_path, monkeypatch, after):
    nvml = Nvml([1_000])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with EnergyMeter(tmp_path) as meter:
        nvml.counts = after
    assert meter.parts() == {}
    monkeypatch.setitem(sys.modules, "pynvml", Nvml([1_000, None]))
    with EnergyMeter(tmp_path) as meter:
        pass
    assert meter.parts() == {}
