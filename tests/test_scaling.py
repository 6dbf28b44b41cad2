"""The arithmetic of the scaling page, beside numbers that were worked out by hand."""

import pytest

from benchmarks.scaling.arithmetic import MODELS, Plan, best, table

pytestmark = pytest.mark.backend_free


def test_a_step_is_what_was_worked_out_by_hand():
    kept = Plan(MODELS["124M"], 8, "data", recomputes=False)
    assert kept.state_bytes == 16 * 124e6
    assert kept.activation_bytes == 16384 * 768 * 34 * 12 + 2**28
    # 744e6 + 226,492,416 FLOPs a token, at 0.4 x 989e12
    assert kept.computing_seconds == pytest.approx(16384 * 970_492_416 / 395.6e12)
    assert kept.sent_bytes == 2 * 4 * 124e6 * 7 / 8
    assert kept.seconds == pytest.approx(kept.computing_seconds + 868e6 / 450e9)
    again = Plan(MODELS["124M"], 8, "data", recomputes=True)
    assert again.computing_seconds == pytest.approx(4 / 3 * kept.computing_seconds)
    assert again.activation_bytes == 16384 * 768 * (24 + 34) + 2**28


def test_what_does_not_fit_is_not_recommended():
    large = MODELS["7B"]
    assert not Plan(large, 512, "data", recomputes=True).fits
    for count in (8, 64, 512):
        assert (best(large, count).layout, best(large, count).recomputes) == ("sharded", True)
    assert table().count("\n") == 1 + 3 * len(MODELS)
