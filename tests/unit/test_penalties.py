"""Penalties follow from what a fit says of rows that it has not seen."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.sparse import csr_matrix

from tocsin.learn import kinds
from tocsin.learn.penalties import Tuning, _blocks, _left_out, chosen


def rows(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Columns 0 to 9 tell the truth a little each, columns 10 to 49 nothing."""
    dice = np.random.default_rng(seed)
    truth = dice.integers(0, 2, count).astype(float)
    tells = (dice.random((count, 10)) < 0.3 + 0.3 * truth[:, None]).astype(float)
    noise = (dice.random((count, 40)) < 0.4).astype(float)
    return np.hstack([tells, noise]), truth


def test_what_was_left_out_is_what_a_fit_without_it_says() -> None:
    matrix, truth = rows(60)
    kernel, target, counts = matrix @ matrix.T / 10, 2 * truth - 1, np.linspace(0.5, 1.5, 60)
    blocks = _blocks([n // 7 for n in range(60)])
    total = kernel + np.diag(1 / counts)
    error, _ = _left_out(np.linalg.inv(total), target, counts, blocks)
    again = 0.0
    for block in blocks:
        others = np.setdiff1d(np.arange(60), block)
        solved = np.linalg.solve(total[np.ix_(others, others)], target[others])
        said = kernel[np.ix_(block, others)] @ solved
        again += 0.5 * float(counts[block] @ (target[block] - said) ** 2)
    assert error == pytest.approx(again)


def test_the_slope_is_that_of_the_error() -> None:
    matrix, truth = rows(40)
    parts = [matrix[:, :10] @ matrix[:, :10].T, matrix[:, 10:] @ matrix[:, 10:].T]
    blocks = _blocks([n % 6 for n in range(40)])

    def both(point: np.ndarray) -> tuple[float, np.ndarray]:
        total = np.eye(40) + sum(size * part for size, part in zip(point, parts, strict=True))
        error, slope = _left_out(np.linalg.inv(total), 2 * truth - 1, np.ones(40), blocks)
        return error, np.array([np.vdot(part, slope) for part in parts])

    off = check_grad(lambda p: both(p)[0], lambda p: both(p)[1], np.array([0.3, 0.1]))
    assert off < 1e-3


def test_columns_that_say_nothing_are_pulled_back_harder() -> None:
    matrix, truth = rows(300)
    of_columns = ["tells"] * 10 + ["nothing"] * 40
    tuning = Tuning(csr_matrix(matrix), of_columns, truth, np.ones(300), [list(range(300))])
    found = chosen(tuning, {"tells": 1.0, "nothing": 1.0, "absent": 7.0})
    assert found["nothing"] > 3 * found["tells"]
    assert found["absent"] == 7.0
    assert found == chosen(tuning, {"tells": 1.0, "nothing": 1.0, "absent": 7.0})


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("rule=wazuh:5710", kinds.RULE),
        ("rule:denied", kinds.CLAIMED),
        ("severity=high", kinds.CLAIMED),
        ("@errorcode", kinds.PRESENT),
        ("region=north", kinds.VALUE),
        ("region:north", kinds.PART),
        ("north", kinds.BARE),
        ("robot?", kinds.SAID),
        ("shows delet", kinds.SHOWN),
        ("lacks delet", kinds.LACKED),
        ("wants delet did list", kinds.PAIRED),
        ("did list failed", kinds.DONE),
        ("it is done", kinds.DONE),
    ],
)
def test_words_are_of_a_kind_by_their_shape(word: str, kind: str) -> None:
    assert kinds.of_word(word) == kind


def test_every_kind_has_a_penalty_to_begin_with() -> None:
    assert kinds.of_number("activity.host") == kinds.ACTIVITY
    assert kinds.of_number("activity.host of wazuh:5710") == kinds.OWN
    assert kinds.of_number("claim.shown") == kinds.CLAIM
    named = {value for name, value in vars(kinds).items() if name.isupper() and name != "PENALTY"}
    assert {kind for kind in named if isinstance(kind, str) and kind != kinds.OF_RULE} == set(
        kinds.PENALTY
    )
