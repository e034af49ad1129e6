"""The similarities, by hand and against matrices of tokens by tokens."""

import math

import numpy as np
import pytest
import torch

from nas.analysis.redundancy.similarity import Scores, Similarity


def similarity(x, y):
    found = Similarity()
    found.update(torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64))
    return found


def features(seed=0, shape=(2, 30, 5)):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    mix = torch.randn(5, 5, generator=torch.Generator().manual_seed(seed + 1))
    return x + 3, torch.tanh(x @ mix) - 1


def test_angular_similarity_by_hand():
    """45, 90, 180 and 0 degrees: 0.75, 0.5, 0 and 1."""
    x = [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [3.0, 4.0]]
    y = [[1.0, 1.0], [5.0, 0.0], [-2.0, -2.0], [0.3, 0.4]]
    for i, expected in enumerate([0.75, 0.5, 0.0, 1.0]):
        found = similarity(x[i : i + 1], y[i : i + 1]).angular()
        assert found == pytest.approx(expected, abs=1e-7)
    assert similarity(x, y).angular() == pytest.approx(2.25 / 4)


def test_tokens_of_zeros_have_no_angle():
    x, y = [[1.0, 0.0], [0.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]
    assert similarity(x, y).angular() == pytest.approx(0.5)
    assert similarity(x[1:], y[1:]).angular() is None


def test_cka_is_that_of_centred_gram_matrices():
    """Kornblith 2019, Eq. 3: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)), K = XX', L = YY'."""
    x, y = features()
    a, b = (t.flatten(0, 1).double().numpy() for t in (x, y))
    h = np.eye(len(a)) - 1 / len(a)
    k, m = h @ (a @ a.T) @ h, h @ (b @ b.T) @ h
    expected = (k * m).sum() / math.sqrt((k * k).sum() * (m * m).sum())
    assert 0.1 < expected < 0.9
    assert similarity(x, y).cka() == pytest.approx(expected, rel=1e-12)


def test_cka_as_slimformer_3d_writes_it_is_that_of_the_features_as_they_are():
    """SlimFormer-3D, Eq. 3, with the products between tokens in place of those between channels."""
    x, y = features()
    a, b = (t.flatten(0, 1).double().numpy() for t in (x, y))
    k, m = a @ a.T, b @ b.T
    expected = (k * m).sum() / (np.linalg.norm(k) * np.linalg.norm(m))
    uncentred = Similarity("uncentred")
    uncentred.update(x.double(), y.double())
    assert uncentred.cka() == pytest.approx(expected, rel=1e-12)
    assert uncentred.cka() > similarity(x, y).cka() + 0.1  # what all tokens share counts, too


def test_batches_one_by_one_give_what_all_at_once_gives(monkeypatch):
    x, y = features(shape=(4, 30, 5))
    whole = similarity(x, y).scores()
    monkeypatch.setattr("nas.analysis.redundancy.similarity.TOKENS", 7)
    streamed = Similarity()
    for part in (slice(0, 1), slice(1, 4)):
        streamed.update(x[part].double(), y[part].double())
    assert streamed.tokens == 120
    assert streamed.angular() == pytest.approx(whole.angular, rel=1e-12)
    assert streamed.cka() == pytest.approx(whole.cka, rel=1e-12)


def test_features_are_alike_with_themselves():
    x, _ = features()
    scores = similarity(x, x).scores()
    assert scores.angular == pytest.approx(1, abs=1e-7)
    assert scores.cka == pytest.approx(1, abs=1e-12)
    assert scores.mean == pytest.approx(1, abs=1e-7)


def test_cka_does_not_see_rotation_scale_and_shift():
    x, _ = features()
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(2)))
    assert similarity(x, 7 * x @ rotation - 2).cka() == pytest.approx(1, rel=1e-6)


def test_cka_of_uncorrelated_channels_is_zero():
    x, y = [[1.0], [1.0], [-1.0], [-1.0]], [[1.0], [-1.0], [1.0], [-1.0]]
    assert similarity(x, y).cka() == pytest.approx(0)


def test_features_that_are_the_same_everywhere_have_no_cka():
    x, _ = features()
    assert similarity(x, torch.full_like(x, 0.1)).scores().cka is None
    assert Similarity().scores() == Scores(None, None)
    assert Scores(0.5, None).mean is None


def test_two_million_tokens_fit():
    """Their matrix of tokens by tokens would take 32 TB."""
    x = torch.randn(1, 2_000_000, 2, generator=torch.Generator().manual_seed(0))
    assert similarity(x, -x).scores().angular == pytest.approx(0, abs=1e-6)


def test_features_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 4, 2\) against \(1, 3, 2\)"):
        Similarity().update(torch.zeros(1, 4, 2), torch.zeros(1, 3, 2))
