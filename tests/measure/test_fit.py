"""What a fit is given of the timings of a device; the fit itself is tested where it is, and through builds."""

from __future__ import annotations

import pytest

from nas.measure.fit import Observations
from nas.measure.store import REFERENCE, VERIFIED, StoredSegment, StoredTiming
from nas.runners.timing import Summary, Timing
from tests.latency.examples import pointwise

SEGMENTS = (StoredSegment(key="s", rows=(pointwise(8, 8, 4),)),)


def timing(batch: int, digest: str, role: str, ms: float, *, known: bool = True) -> StoredTiming:
    """A network's timing of four equal runs, or a summary of as many where the runs are not known."""
    runs = Timing(wall_ms=(ms,) * 4) if known else Summary(typical_ms=ms, spread=0.0, count=4)
    return StoredTiming(batch=batch, name=digest, digest=digest, role=role, segments=SEGMENTS, timing=runs)


def build() -> list[StoredTiming]:
    """Three batches, in which the reference took 2, 2.5 and 1.8 ms."""
    found = []
    for batch, ms in ((1, 2.0), (2, 2.5), (3, 1.8)):
        found += [timing(batch, "reference", REFERENCE, ms), timing(batch, f"n{batch}", "space", 10.0 * batch)]
    return found


def test_a_batch_is_as_slow_as_the_reference_in_it_says() -> None:
    found = Observations.of(build())
    assert found.usual == 2.0
    assert found.slow == pytest.approx([0.0, 0.25, -0.1])
    assert [(o.role, o.latency_ms, o.batch) for o in found.each] == [
        (REFERENCE, 2.0, 1), ("space", 10.0, 1), (REFERENCE, 2.5, 2), ("space", 20.0, 2), (REFERENCE, 1.8, 3),
        ("space", 30.0, 3),
    ]  # fmt: skip
    assert [o.slow for o in found.each] == pytest.approx([0.0, 0.0, 0.25, 0.25, -0.1, -0.1])


def test_what_was_verified_is_one_observation_at_the_usual_speed() -> None:
    processes = []
    for batch, slow in ((4, 1.0), (5, 1.2), (6, 1.0)):
        # The reference before and behind the others: 1.9 and 2.1 ms where the machine is as usual.
        processes += [
            timing(batch, "reference", REFERENCE, 1.9 * slow), timing(batch, "v", VERIFIED, 6.0 * slow),
            timing(batch, "w", VERIFIED, 9.0 * slow), timing(batch, "reference", REFERENCE, 2.1 * slow),
        ]  # fmt: skip
    found = Observations.of([*build(), *processes])
    assert found.usual == 2.0 and len(found.slow) == 3  # the references of a check say nothing of the build
    own = [o for o in found.each if o.role == VERIFIED]
    assert [o.latency_ms for o in own] == pytest.approx([6.0, 9.0])
    assert [o.slow for o in own] == [0.0, 0.0]
    assert len({o.batch for o in found.each}) == 5  # each shares its moments with no other
    assert sum(o.role == REFERENCE for o in found.each) == 3


def test_what_was_verified_before_runs_were_kept_stays_as_it_was() -> None:
    found = Observations.of([*build(), timing(4, "v", VERIFIED, 6.0, known=False)])
    assert [o.latency_ms for o in found.each if o.role == VERIFIED] == pytest.approx([6.0])
