"""Objectives against independent float64 evaluations in numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit, logsumexp

from stratigraph.errors import ConfigError
from stratigraph.objectives import (
    OBJECTIVES,
    Classification,
    build_objective,
    check_likelihood,
    evaluate,
)
from stratigraph.objectives.terms import (
    bernoulli_reconstruction,
    gaussian_reconstruction,
    kl_divergence,
    total_correlation,
)
from stratigraph.testing.objectives import CHECKS
from stratigraph.testing.passes import arrays, pass_of, posterior

PARAMETERS = {
    "vae": {},
    "beta_vae": {"beta": 4},
    "annealed_vae": {"c_max": 5},
    "beta_tc_vae": {"beta": 4},
    "dip_vae_i": {"lambda_od": 2},
    "dip_vae_ii": {"lambda_od": 2},
    "kl_annealed_vae": {"annealing_steps": 100},
    "factor_vae": {"gamma": 10},
    "info_vae": {"lambda_mmd": 10},
    "mmd_vae": {"lambda_mmd": 10},
    "sigma_vae": {},
    "vq_vae": {"codes": 5},
}


def naive_kl(mean, log_var):
    return (0.5 * (mean**2 + np.exp(log_var) - log_var - 1)).sum(1).mean()


def naive_tc(mean, log_var, noise):
    scale = np.exp(log_var / 2)
    sample = mean + scale * noise
    total = 0.0
    for j in range(len(mean)):
        logs = np.array(
            [
                stats.norm.logpdf(sample[j], mean[i], np.exp(log_var[i] / 2))
                for i in range(len(mean))
            ]
        )
        logs_q = [logsumexp(logs[:, k]) - np.log(len(mean)) for k in range(logs.shape[1])]
        total += logsumexp(logs.sum(1)) - np.log(len(mean)) - sum(logs_q)
    return total / len(mean)


def value(name, *given, step=0, **parameters):
    return build_objective(name, **parameters).regulariser(posterior(*given), step).item()


def test_reconstructions_against_scipy():
    rng = np.random.default_rng(1)
    output = rng.normal(size=(4, 1, 3, 3)) * 3
    binary = rng.integers(0, 2, output.shape).astype(float)
    want = -stats.bernoulli.logpmf(binary, expit(output)).sum() / 4
    assert bernoulli_reconstruction(
        torch.tensor(output), torch.tensor(binary)
    ).item() == pytest.approx(want, rel=1e-12)
    images = rng.uniform(size=output.shape)
    want = -stats.norm.logpdf(images, output, 1).sum() / 4
    assert gaussian_reconstruction(
        torch.tensor(output), torch.tensor(images)
    ).item() == pytest.approx(want, rel=1e-12)


def test_kl_against_monte_carlo():
    mean, log_var, _ = arrays()
    scale = np.exp(log_var / 2)
    z = mean + scale * np.random.default_rng(2).normal(size=(100_000, *mean.shape))
    each = (stats.norm.logpdf(z, mean, scale) - stats.norm.logpdf(z)).sum(2).mean(1)
    got = kl_divergence(torch.tensor(mean), torch.tensor(log_var)).item()
    assert got == pytest.approx(naive_kl(mean, log_var), rel=1e-12)
    assert abs(each.mean() - got) < 5 * each.std() / np.sqrt(len(each))


def test_total_correlation_is_the_documented_formula_with_its_gradient():
    mean, log_var, noise = arrays()
    given = posterior(mean, log_var, noise)
    tc = total_correlation(given)
    assert tc.item() == pytest.approx(naive_tc(mean, log_var, noise), rel=1e-12)
    tc.backward()
    for which, tensor in ((0, given.mean), (1, given.log_var)):
        for index in np.ndindex(mean.shape):
            up, down = ([mean.copy(), log_var.copy()] for _ in range(2))
            up[which][index] += 1e-5
            down[which][index] -= 1e-5
            slope = (naive_tc(*up, noise) - naive_tc(*down, noise)) / 2e-5
            assert tensor.grad[index].item() == pytest.approx(slope, abs=1e-7)


def test_the_total_correlation_does_not_depend_on_how_many_a_batch_holds():
    # A batch twice over has the same q(z); one image alone has independent latents.
    mean, log_var, noise = arrays()
    once = total_correlation(posterior(mean, log_var, noise)).item()
    for times in (2, 3):
        again = (np.tile(values, (times, 1)) for values in (mean, log_var, noise))
        assert total_correlation(posterior(*again)).item() == pytest.approx(once, abs=1e-10)
    alone = total_correlation(posterior(mean[:1], log_var[:1], noise[:1])).item()
    assert alone == pytest.approx(0, abs=1e-12)


def test_the_kl_is_mutual_information_total_correlation_and_dimension_wise_kl():
    mean, log_var, _ = arrays()
    scale, m = np.exp(log_var / 2), len(mean)
    rng = np.random.default_rng(3)
    eps = rng.normal(size=(20_000, *mean.shape))
    z = (mean + scale * eps).reshape(-1, mean.shape[1])
    own = np.tile(np.arange(m), 20_000)
    dens = stats.norm.logpdf(z[:, None], mean[None], scale[None])
    q_zx = dens[np.arange(len(z)), own].sum(1)
    q_z = logsumexp(dens.sum(2), axis=1) - np.log(m)
    q_zl = (logsumexp(dens, axis=1) - np.log(m)).sum(1)
    information, tc = (q_zx - q_z).mean(), (q_z - q_zl).mean()
    dimension_wise = (q_zl - stats.norm.logpdf(z).sum(1)).mean()
    assert 0 < information < np.log(m)
    assert tc > 0
    assert dimension_wise > 0
    kl = kl_divergence(torch.tensor(mean), torch.tensor(log_var)).item()
    assert information + tc + dimension_wise == pytest.approx(kl, rel=0.02)


def test_beta_tc_is_the_vae_at_1_and_not_the_beta_vae_at_4():
    given = arrays()
    assert value("beta_tc_vae", *given, beta=1) == value("vae", *given)
    want = naive_kl(*given[:2]) + 3 * naive_tc(*given)
    assert value("beta_tc_vae", *given, beta=4) == pytest.approx(want, rel=1e-12)
    gradients = []
    for name in ("beta_tc_vae", "beta_vae"):
        p = posterior(*given)
        build_objective(name, beta=4).regulariser(p, 0).backward()
        gradients.append(p.mean.grad)
    assert not torch.allclose(*gradients, rtol=1e-2)
    assert abs(want - value("beta_vae", *given, beta=4)) > 0.1
    assert value("beta_vae", *given, beta=1) == value("vae", *given)


def test_the_capacity_takes_the_absolute_value_of_the_mean():
    # KLs of 0 and 2 nats at C = 1: the mean is on target, yet each image is 1 nat off.
    mean, zero = np.array([[0.0], [2.0]]), np.zeros((2, 1))
    got = value("annealed_vae", mean, zero, zero, step=50, c_max=2, gamma=7, annealing_steps=100)
    assert got == pytest.approx(0, abs=1e-12)
    for step, capacity in ((0, 0), (50, 1), (100, 2), (500, 2)):
        o = build_objective("annealed_vae", c_max=2, annealing_steps=100)
        assert o.capacity(step) == capacity
    given = arrays()
    for c_max in (1, 50):
        want = 1000 * abs(naive_kl(*given[:2]) - c_max)
        assert value("annealed_vae", *given, step=10**6, c_max=c_max) == pytest.approx(want)


@pytest.mark.parametrize(("name", "times"), [("dip_vae_i", 10), ("dip_vae_ii", 1)])
@pytest.mark.parametrize("given_d", [None, 3.0])
def test_dip_against_naive_loops(name, times, given_d):
    mean, log_var, noise = arrays()
    c = np.cov(mean.T, bias=True)
    if name == "dip_vae_ii":
        c = c + np.mean([np.diag(np.exp(row)) for row in log_var], axis=0)
    d = times * 2.0 if given_d is None else given_d
    want = naive_kl(mean, log_var)
    for i in range(3):
        for j in range(3):
            want += d * (c[i, i] - 1) ** 2 if i == j else 2.0 * c[i, j] ** 2
    got = (
        value(name, mean, log_var, noise, lambda_od=2.0, lambda_d=given_d)
        if given_d
        else value(name, mean, log_var, noise, lambda_od=2.0)
    )
    assert got == pytest.approx(want, rel=1e-12)


def test_dip_ii_leaves_the_off_diagonal_to_the_means():
    zero = np.zeros((4, 3))
    assert value("dip_vae_ii", zero, zero, zero, lambda_od=5.0) == pytest.approx(0, abs=1e-12)


def test_kl_annealing_weights():
    given = arrays()
    for step, weight in ((0, 0), (25, 0.25), (100, 1), (900, 1)):
        got = value("kl_annealed_vae", *given, step=step, annealing_steps=100)
        assert got == pytest.approx(weight * naive_kl(*given[:2]))
    strong = value("kl_annealed_vae", *given, step=25, annealing_steps=100, beta=8)
    assert strong == pytest.approx(2 * naive_kl(*given[:2]))


def test_every_objective_is_in_the_contract():
    assert set(PARAMETERS) == set(OBJECTIVES)


SMALLER = {"factor_vae": {"layers": 2, "units": 20}}  # than the source's six layers of 1,000


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_contract(name, check):
    check(build_objective(name, **PARAMETERS[name], **SMALLER.get(name, {})))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_leaf_of_a_pass_is_moved(name):
    objective = build_objective(name, **PARAMETERS[name], **SMALLER.get(name, {}))
    one, leaves = pass_of(objective)
    beside = {"parts": one.parts, "stream": one.stream, "other": one.other}
    evaluate(objective, one.likelihood, one.result, one.images, 10, **beside).minimised.backward()
    assert [leaf for leaf, value in leaves.items() if not value.grad.any()] == []


def test_a_likelihood_that_an_objective_does_not_work_with():
    objective = build_objective("sigma_vae")
    check_likelihood("sigma_vae", objective, "gaussian")
    text = r"objective sigma_vae: it needs `reconstruction: gaussian` in the training, got bern"
    with pytest.raises(ConfigError, match=text):
        check_likelihood("sigma_vae", objective, "bernoulli")
    for other in (build_objective("vae"), Classification()):
        check_likelihood("any", other, "bernoulli")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1, "four", True])
@pytest.mark.parametrize("name", [n for n in PARAMETERS if PARAMETERS[n]])
def test_bad_parameters(name, bad):
    (key,) = PARAMETERS[name]
    with pytest.raises(ConfigError, match=rf"objective {name}: {key}: expected a .*got {bad!r}"):
        build_objective(name, **{key: bad})
    with pytest.raises(ConfigError, match=rf"objective {name}: {key} is missing; give it a number"):
        build_objective(name)


@pytest.mark.parametrize(
    ("name", "parameters", "text"),
    [
        ("sigma_vae", {"sigma": "best"}, "sigma: expected learned or optimal, got 'best'"),
        ("sigma_vae", {"sigma": "learnt"}, "got 'learnt'. Did you mean 'learned'?"),
        ("sigma_vae", {"sigma": 1}, "sigma: expected learned or optimal, got 1"),
        ("factor_vae", {"gamma": 1, "layers": 0}, "layers: expected a whole number ≥ 1 and ≤ 64"),
        ("factor_vae", {"gamma": 1, "units": 1.5}, "units: expected a whole number ≥ 1"),
        ("factor_vae", {"gamma": 1, "beta_1": 1}, "beta_1: expected a finite number ≥ 0 and < 1"),
        ("info_vae", {"lambda_mmd": 1, "alpha": 2}, "alpha: expected a finite number ≥ 0 and ≤ 1"),
        ("info_vae", {"lambda_mmd": 0.4, "alpha": 0.5}, "expected a number ≥ 1 − alpha = 0.5, got"),
        ("mmd_vae", {"lambda_mmd": 1, "bandwidth": 0}, "bandwidth: expected a finite number ≥ 1e-"),
        ("vq_vae", {"codes": 1}, "codes: expected a whole number ≥ 2 and ≤ 65536, got 1"),
        ("kl_annealed_vae", {"annealing_steps": 0}, "expected a whole number of steps ≥ 1, got 0"),
    ],
)
def test_declared_parameters(name, parameters, text):
    with pytest.raises(ConfigError) as e:
        build_objective(name, **parameters)
    assert text in str(e.value)


def test_near_names():
    with pytest.raises(ConfigError, match=r"unknown name 'beta_va'\. Did you mean 'beta_vae'"):
        build_objective("beta_va", beta=1)
    with pytest.raises(ConfigError, match=r"no parameter 'betta'\. Did you mean 'beta'\?"):
        build_objective("beta_vae", betta=1)
