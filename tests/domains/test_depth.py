"""The range that a domain's pictures are read with: given, measured, or each file's own."""

import io

import numpy as np
import pytest
from PIL import Image

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.pretraining_source import load_pretraining_source
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import Intensity, UnknownRangeError

BRIGHTEST = {"train": 4000, "validation": 2000, "test": 5000}
"""Of the pictures of each split, which begin at 1000."""


def ramp(largest, dtype=np.uint16, least=1000):
    return np.tile(np.linspace(least, largest, 32), (32, 1)).astype(dtype)


def write(folder, brightest=BRIGHTEST, dtype=np.uint16, suffix="png"):
    for split, largest in brightest.items():
        for label in ("a", "b"):
            (folder / split / label).mkdir(parents=True)
            for row in range(4):
                buffer = io.BytesIO()
                least = 1000 if largest > 255 else 0
                Image.fromarray(ramp(largest - row, dtype, least)).save(buffer, "TIFF" if suffix == "tif" else "PNG")
                (folder / split / label / f"{row}.{suffix}").write_bytes(buffer.getvalue())
    return folder


def load(folder, intensity_range=None, **options):
    return load_domain(DomainArguments(str(folder), intensity_range=intensity_range, **options))


def brightness(split):
    return int(np.asarray(split.image(0)).max()), int(np.asarray(split.image(0)).min())


def test_the_range_of_the_training_images_counts_for_all(tmp_path):
    folder = write(tmp_path)
    domain = load(folder, "dataset")
    assert domain.train.intensity == domain.test.intensity == Intensity((1000, 4000))
    assert brightness(domain.train) == (255, 0) and brightness(domain.test) == (255, 0)
    assert brightness(domain.validation) == (round(255 / 3), 0)
    assert "intensity_range: 1000,4000 (dataset)" in domain.notes
    few = load(folder, "dataset", samples_per_class=1, split_seed=3)
    assert few.train.intensity == domain.train.intensity
    source = load_pretraining_source(DomainArguments(str(folder), intensity_range="dataset"))
    assert source.train.intensity == source.held_out.intensity == Intensity((1000, 4000))


def test_the_range_decides_what_a_domain_is(tmp_path):
    folder = write(tmp_path)
    stated, given = load(folder), load(folder, "0,5000")
    assert brightness(given.test) == (255, 51)
    measured, own = load(folder, "dataset"), load(folder, "image")
    assert brightness(own.validation) == (255, 0)
    prints = [domain.fingerprints() for domain in (stated, given, measured, own)]
    for role in ("train", "validation", "test"):
        assert len({each[role] for each in prints}) == 4
    assert load(folder, "1000,4000").fingerprints() == prints[2]


@pytest.mark.parametrize("intensity_range", [None, "0,8000", "image", "dataset"])
def test_streams_are_read_alike(tmp_path, intensity_range):
    folder = write(tmp_path)
    if intensity_range == "dataset":
        with pytest.raises(InputError, match="give LOW,HIGH, or drop --streaming"):
            load(folder, "dataset", streaming=True)
        return
    domain = load(folder, intensity_range)
    streamed = load(folder, intensity_range, streaming=True, shuffle_buffer_size=0)
    for position, each in enumerate(streamed.train.one_pass(0)):
        assert np.array_equal(np.asarray(each.image), np.asarray(domain.train.image(position)))
    for ours, theirs in ((domain.validation, streamed.validation), (domain.test, streamed.test)):
        assert np.array_equal(np.asarray(ours.image(0)), np.asarray(theirs.image(0)))
    others = load(folder, "0,9000", streaming=True)
    assert others.train.fingerprint() != streamed.train.fingerprint()


def test_little_use_of_a_range_is_said(tmp_path, caplog):
    folder = write(tmp_path)
    said = "split 'train' have values from 1000 to 4000 of a range from 0 to 65535, so that they get 12 of 256 shades"
    assert any(said in note for note in load(folder).notes)
    assert said in caplog.text
    caplog.clear()
    assert not any("shades" in note for note in load(folder, "dataset").notes) and not caplog.records


def test_what_cannot_be_known_is_refused_before_anything_is_trained(tmp_path):
    folder = write(tmp_path, dtype=np.float32, suffix="tif")
    for options in ({}, {"skip_corrupt": True}):
        with pytest.raises(UnknownRangeError, match=r"holds floats .* --intensity_range LOW,HIGH"):
            load(folder, **options)
    assert brightness(load(folder, "0,5000").test) == (255, 51)
    assert brightness(load(folder, "dataset", skip_corrupt=True).train) == (255, 0)


def test_a_range_over_several_depths_is_refused(tmp_path):
    folder = write(tmp_path)
    Image.fromarray(ramp(255, np.uint8, 0)).save(folder / "train" / "a" / "4.png")
    with pytest.raises(InputError, match=r"found 16-bit integers \(image .*\) and 8-bit integers"):
        load(folder, "dataset")
    with pytest.raises(InputError, match=r"intensity_range 'datasets' must be LOW,HIGH"):
        load(folder, "datasets")
    flat = write(tmp_path / "flat", dict.fromkeys(BRIGHTEST, 1003))
    for path in flat.rglob("*.png"):
        Image.fromarray(np.full((8, 8), 7, np.uint16)).save(path)
    with pytest.raises(InputError, match="all values of the training images are 7"):
        load(flat, "dataset")


def test_files_that_state_different_ranges_are_named(tmp_path, caplog):
    tifffile = pytest.importorskip("tifffile")
    folder = write(tmp_path)
    for number, path in enumerate(sorted((folder / "test").rglob("*.png"))):
        largest = 5000 + 100 * (number % 2)
        tags = [(340, "H", 1, 1000, True), (341, "H", 1, largest, True)]
        tifffile.imwrite(path.with_suffix(".tif"), ramp(5000), extratags=tags)
        path.unlink()
    said = "files of split 'test' state different ranges, such as 1000 to 5000 and 1000 to 5100"
    assert any(note.startswith(said) for note in load(folder).notes) and said in caplog.text
    assert not any(said in note for note in load(folder, "0,6000").notes)


def test_a_given_range_that_does_not_fit_is_said(tmp_path, caplog):
    deep, shallow = write(tmp_path / "deep"), tmp_path / "shallow"
    write(shallow, brightest=dict.fromkeys(BRIGHTEST, 200), dtype=np.uint8)
    load(deep, "0,255")
    assert "have values from 1000 to 4000, and those outside the range from 0 to 255 come out" in caplog.text
    caplog.clear()
    load(shallow, "0,4095")
    assert "of a range from 0 to 4095, so that they get" in caplog.text
    caplog.clear()
    load(deep, "500,4000")
    assert "intensity" not in caplog.text
