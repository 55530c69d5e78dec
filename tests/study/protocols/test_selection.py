"""What is selected, and what the record says about it."""

from hf_sslgen.study.protocols.selection import Candidate, best_candidate, selection_record


def test_the_lowest_score_is_selected_and_missing_ones_are_not() -> None:
    candidates = [
        Candidate({"learning_rate": 0.1, "weight_decay": 0.0}, None),
        Candidate({"learning_rate": 0.01, "weight_decay": 0.0}, 0.5),
        Candidate({"learning_rate": 0.001, "weight_decay": 0.0}, 0.7),
    ]
    best = best_candidate(candidates)
    assert best is candidates[1]
    record = selection_record(candidates, best, 3, "train")
    assert record["chosen"] == {"learning_rate": 0.01, "weight_decay": 0.0}
    assert [row["validation_negative_log_likelihood"] for row in record["candidates"]] == [None, 0.5, 0.7]
    assert record["at_grid_end"] == []  # a grid of one value has no end
    assert (record["ties"], record["seed"], record["fitted_on"]) == (0, 3, "train")


def test_ties_and_ends_of_the_grid_are_said() -> None:
    candidates = [Candidate({"k": k}, score) for k, score in ((10, 0.5), (20, 0.5), (100, 0.9))]
    best = best_candidate(candidates)
    assert best is candidates[0]
    record = selection_record(candidates, best, 0, "train")
    assert record["ties"] == 1
    assert record["at_grid_end"] == ["k"]


def test_nothing_is_selected_where_all_diverged() -> None:
    assert best_candidate([Candidate({"learning_rate": 0.1}, None)]) is None
