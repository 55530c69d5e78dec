"""The order in which a stream's images are trained on, from its beginning and from the middle."""

import itertools
from dataclasses import dataclass, field

import pytest
from datasets import Dataset, Features, Image, Value

from hf_sslgen.domains.labels import LabelEncoding
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.errors import InputError
from hf_sslgen.training.samples import StreamOrder


@dataclass(frozen=True, eq=False)
class Watched(ImageStream):
    """A stream that writes down which passes were read."""

    read: list[int] = field(default_factory=list)

    def one_pass(self, epoch):
        self.read.append(epoch)
        return super().one_pass(epoch)


def _stream(images: int, held_out_fraction: float = 0.0) -> Watched:
    rows = {"image": [{"bytes": bytes([number]), "path": None} for number in range(images)], "label": [0] * images}
    features = Features({"image": Image(decode=False), "label": Value("int64")})
    dataset = Dataset.from_dict(rows, features=features).to_iterable_dataset()
    return Watched("train", dataset, LabelEncoding(("only",), {0: 0}), held_out_fraction, 0, 3, skip_corrupt=False)


def _first(order, count):
    items = iter(order)
    found = list(itertools.islice(items, count))
    items.close()
    return [(epoch, position, each and (each.sample_id, each.label)) for epoch, position, each in found]


@pytest.mark.parametrize("start", [0, 1, 6, 7, 8, 20, 21, 27, 28, 34])
def test_going_on_hands_out_what_would_have_come_and_reads_few_passes(monkeypatch, start):
    monkeypatch.setattr(StreamOrder, "READ_AHEAD", 1)
    whole = _first(StreamOrder(_stream(7)), 35)
    assert [epoch for epoch, _, _ in whole] == [number // 7 for number in range(35)]
    assert [position for _, position, _ in whole] == [number % 7 for number in range(35)]
    stream = _stream(7)
    order = StreamOrder(stream)
    order.start = start
    resumed = _first(order, 35)
    assert resumed[start:] == whole[start:] and None not in [image for _, _, image in whole]
    assert [item[:2] for item in resumed] == [item[:2] for item in whole]
    unread = {epoch for epoch, _, image in resumed if image is None}
    assert unread == set(range(1, start // 7)) and not unread & set(stream.read)


def test_a_stream_without_images_is_refused():
    with pytest.raises(InputError, match="split 'train' is empty"):
        next(iter(StreamOrder(_stream(3, held_out_fraction=1.0))))
