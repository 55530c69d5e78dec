"""A published study's card says where its backbones differ in more than their objective."""

from hf_sslgen.hub.study_card import Contents, dataset_card


def test_the_card_says_what_may_differ_and_nothing_of_twins() -> None:
    of = "owner/study", "Study", Contents(), 4, None, False
    card = dataset_card(*of, differing=["architecture", "source data"])
    assert "they differ, or may differ, in architecture and source data." in card
    assert "Not all of these backbones are twins" not in dataset_card(*of)
