"""Losses of pretraining against references written out by hand, and what BYOL's teacher does."""

import math

import pytest
import torch
from torch import nn

from hf_sslgen.errors import InputError
from hf_sslgen.training.pretraining.objectives import OBJECTIVES, build_objective

pytest.importorskip("lightly")

LABELS = torch.arange(12) % 3


def objective_of(name: str, **options):
    torch.manual_seed(0)
    trunk = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.BatchNorm1d(16))
    return trunk, build_objective(name, trunk, num_features=16, num_classes=3, **options)


def two_views(seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(12, 3, 2, 2, generator=generator)
    return [images + 0.1 * torch.rand(12, 3, 2, 2, generator=generator) for _ in range(2)]


def cosine(a, b) -> float:
    return (a @ b / (a.norm() * b.norm())).item()


def nt_xent(first, second, temperature: float) -> float:
    """Equation 1 of arXiv 2002.05709, one pair of pictures at a time."""
    everything = [*first, *second]
    count, total = len(first), 0.0
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        others = [math.exp(cosine(everything[i], everything[k]) / temperature) for k in range(2 * count) if k != i]
        total -= math.log(math.exp(cosine(everything[i], everything[partner]) / temperature) / sum(others))
    return total / (2 * count)


def barlow_twins(first, second, weight: float = 0.005) -> float:
    """Equations 1 and 2 of arXiv 2103.03230, with double loops; divided by the number of dimensions."""
    a = (first - first.mean(0)) / (first.var(0, unbiased=False) + 1e-5).sqrt()
    b = (second - second.mean(0)) / (second.var(0, unbiased=False) + 1e-5).sqrt()
    dimensions, total = first.shape[1], 0.0
    for i in range(dimensions):
        correlations = (a[:, i, None] * b).mean(0)
        for j, correlation in enumerate(correlations.tolist()):
            total += (1 - correlation) ** 2 if i == j else weight * correlation**2
    return total / dimensions


def test_supervised_is_the_mean_negative_log_probability_of_the_label():
    trunk, objective = objective_of("supervised")
    view = two_views()[0]
    features = trunk(view)
    logits = objective.classifier(features).double()
    expected = -sum(math.log(logits[i].softmax(0)[LABELS[i]].item()) for i in range(12)) / 12
    assert objective([features], [view], LABELS).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_simclr_is_nt_xent(temperature):
    trunk, objective = objective_of("simclr", temperature=temperature)
    views = two_views()
    features = [trunk(view) for view in views]
    loss = objective(features, views, LABELS)
    first, second = objective.projection_head(torch.cat(features)).double().chunk(2)
    assert loss.item() == pytest.approx(nt_xent(first, second, temperature), rel=1e-4)


def test_barlow_twins_is_its_papers():
    trunk, objective = objective_of("barlow-twins")
    views = two_views()
    features = [trunk(view) for view in views]
    first, second = (objective.projection_head(view).double() for view in features)
    assert objective(features, views, LABELS).item() == pytest.approx(barlow_twins(first, second), rel=1e-4)


def test_byol_predicts_the_teachers_projection_of_the_other_view():
    trunk, objective = objective_of("byol")
    with torch.no_grad():  # a teacher that is no copy any more
        for parameter in objective.teacher_trunk.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    views = two_views()
    features = [trunk(view) for view in views]
    loss = objective(features, views, LABELS)
    predictions = [objective.prediction_head(objective.projection_head(each)) for each in features]
    targets = [objective.teacher_projection_head(objective.teacher_trunk(each)) for each in views]
    forth = sum(cosine(predictions[0][i], targets[1][i]) for i in range(12)) / 12
    back = sum(cosine(predictions[1][i], targets[0][i]) for i in range(12)) / 12
    assert loss.item() == pytest.approx((1 - forth) + (1 - back), abs=1e-5)
    loss.backward()
    assert all(parameter.grad is None for parameter in objective.teacher_trunk.parameters())
    assert all(parameter.grad is not None for parameter in trunk.parameters())


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "supervised"])
def test_self_supervised_losses_do_not_look_at_labels_and_prefer_views_of_the_same_image(name):
    trunk, objective = objective_of(name)
    if name == "byol":
        objective.prediction_head = nn.Identity()  # a random one predicts nothing yet
    view = two_views()[0]
    other = view.roll(1, 0)
    same = objective([trunk(view), trunk(view)], [view, view], LABELS).item()
    assert objective([trunk(view), trunk(view)], [view, view], LABELS.roll(1)).item() == same
    assert same < objective([trunk(view), trunk(other)], [view, other], LABELS).item() - 0.01


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "supervised"])
def test_the_order_of_the_two_views_does_not_matter(name):
    trunk, objective = objective_of(name)
    first, second = two_views()
    features = trunk(first), trunk(second)
    forth = objective(list(features), [first, second], LABELS).item()
    back = objective(list(reversed(features)), [second, first], LABELS).item()
    assert forth == pytest.approx(back, rel=1e-4)


def test_byols_teacher_follows_with_a_momentum_that_rises_to_one():
    """After steps 1, 2, 3 of 4 the momentum is 1 - (1 - 0.9) (cos(pi k / 4) + 1) / 2, and 1 after the last."""
    trunk, objective = objective_of("byol", teacher_momentum=0.9)
    expected = {name: parameter.clone() for name, parameter in objective.teacher_trunk.named_parameters()}
    for step in range(1, 5):
        with torch.no_grad():
            for parameter in trunk.parameters():
                parameter.add_(torch.randn_like(parameter))
        objective.after_step(trunk, step / 4)
        momentum = 1 - 0.1 * (math.cos(math.pi * step / 4) + 1) / 2
        for name, parameter in trunk.named_parameters():
            expected[name] = momentum * expected[name] + (1 - momentum) * parameter
    assert momentum == 1
    for name, parameter in objective.teacher_trunk.named_parameters():
        torch.testing.assert_close(parameter, expected[name], msg=name)


def test_byols_teacher_starts_as_a_copy_and_projects_alike():
    trunk, objective = objective_of("byol")
    for own, copied in ((trunk, objective.teacher_trunk), (objective.projection_head,) * 2):
        for one, other in zip(own.parameters(), copied.parameters(), strict=True):
            assert torch.equal(one, other)
    assert not any(parameter.requires_grad for parameter in objective.teacher_trunk.parameters())


def test_an_unknown_objective_is_named():
    with pytest.raises(InputError, match=r"objective 'simclar' is unknown.*did you mean 'simclr'"):
        objective_of("simclar")
