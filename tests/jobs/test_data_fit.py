from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nas.jobs.data_finals import Times
from nas.jobs.data_fit import slower_placements
from nas.latency import Estimate, device_home, load_latency
from nas.progress import silent
from nas.space import Architecture, load_architecture
from nas.space.fitted import Form, fitted

MODEL = load_latency("pixel3-cpu")


def forms() -> list[Form]:
    def predicted(network: Architecture) -> float:
        return float(MODEL.latency_ms([network])[0])

    members = [load_architecture(name).adapted(num_classes=3) for name in ("mobilenetv1-0.25", "squeezenet-1.1")]
    return [form for one in members for form in fitted(one, predicted, 0.5, resolution=32, widths=2)]


@dataclass
class Stopwatch(Times):
    """Measures `factors` times what the model says, by the beginning of a name."""

    factors: dict[str, float | None]
    are_measured: bool = True

    def of(self, networks: Sequence[Architecture]) -> list[Estimate | None]:
        found: list[Estimate | None] = []
        for network, ms in zip(networks, MODEL.latency_ms(networks).tolist(), strict=True):
            factor = next((value for name, value in self.factors.items() if network.name.startswith(name)), 1.0)
            taken = None if factor is None else factor * ms
            found.append(None if taken is None else Estimate(mean_ms=taken, low_ms=0, high_ms=1, source="measured"))
        return found


CANDIDATES = [load_architecture(name) for name in ("mobilenetv2-1.0", "mnasnet-b1", "repvit-m0.9")]


def test_families_are_compared_with_what_candidates_take() -> None:
    # Candidates take 0.8 of the prediction today, so a family that takes as long as predicted is slower by 1 / 0.8.
    watch = Stopwatch({"mobilenetv2": 0.8, "mnasnet": 0.5, "repvit": 3.0, "mobilenetv1": 1.0, "squeezenet": 0.4})
    found = slower_placements(forms(), CANDIDATES, watch, MODEL)
    placements = {"mobilenetv1 s4 32", "mobilenetv1 s3 32", "squeezenet s2 32", "squeezenet s1 32"}
    assert set(found) == placements
    assert {found[one] for one in placements if "v1" in one} == {1.25}
    assert {found[one] for one in placements if "squeeze" in one} == {0.5}


def test_what_was_not_measured_says_nothing() -> None:
    unmeasured = Stopwatch({}, are_measured=False)
    assert slower_placements(forms(), CANDIDATES, unmeasured, MODEL) == {}
    broken = Stopwatch({"squeezenet": None})
    assert {one.split()[0] for one in slower_placements(forms(), CANDIDATES, broken, MODEL)} == {"mobilenetv1"}
    assert slower_placements(forms(), [], Stopwatch({}), MODEL) == {}
    nothing_runs = Stopwatch(dict.fromkeys(("mobilenetv2", "mnasnet", "repvit")))
    assert slower_placements(forms(), CANDIDATES, nothing_runs, MODEL) == {}


def test_only_devices_that_are_timed_at_once_are_asked() -> None:
    assert Times(MODEL, device_home("local"), silent).are_cheap
    assert not Times(MODEL, device_home("iphone12"), silent).are_cheap and not Times(MODEL, None, silent).are_cheap
