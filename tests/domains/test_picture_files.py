"""Which files rows may name, and arrays in place of pictures."""

import base64
import zipfile

import numpy as np
import pytest
from datasets import Array2D, Array3D, Dataset, Features, Image, List, Value

from hf_sslgen.decoding import CorruptImageError, encoded_bytes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles, listed_in_folder, listed_on_hub
from hf_sslgen.errors import InputError
from tests.support.colours import colour_of, encoded, picture

LABELS = ["cat", "dog"] * 6
TEXT = Value("string")


def bytes_of(files, path, value=None):
    return encoded_bytes(files.read({"bytes": value, "path": str(path)}), "picture")


@pytest.fixture
def inside(tmp_path):
    (tmp_path / "data" / "pictures").mkdir(parents=True)
    (tmp_path / "data" / "pictures" / "a.png").write_bytes(b"inside")
    (tmp_path / "secret.png").write_bytes(b"outside")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "data" / "linked").symlink_to(tmp_path)
    (tmp_path / "data" / "own.png").symlink_to("pictures/a.png")
    return tmp_path / "data"


def test_rows_lead_to_files_inside_their_data_set_alone(inside):
    files = PictureFiles(inside)
    for path in ("pictures/a.png", inside / "pictures" / "a.png", "pictures/../own.png"):
        assert bytes_of(files, path) == b"inside"
        assert bytes_of(BYTES_ONLY, path, b"kept") == b"kept"
    outside = ("../secret.png", inside.parent / "secret.png", "link.png", "linked/secret.png")
    for path in outside:
        with pytest.raises(CorruptImageError, match="lies outside the dataset's folder"):
            bytes_of(files, path)
    for path in ("http://127.0.0.1:9/a.png", f"file://{inside}/pictures/a.png", "hf://datasets/o/n/a.png"):
        with pytest.raises(CorruptImageError, match="it is a web address"):
            bytes_of(files, path)
    for path, reason in (("absent.png", "no such file"), ("a\0.png", "null byte"), ("x" * 5000, "too long|base64")):
        with pytest.raises(CorruptImageError, match=reason):
            bytes_of(files, path)
    with pytest.raises(CorruptImageError, match="the row has a path and no bytes"):
        bytes_of(BYTES_ONLY, "pictures/a.png")


def test_listed_files_may_be_links_and_lie_in_archives(inside, tmp_path, monkeypatch):
    with zipfile.ZipFile(inside / "b.zip", "w") as archive:
        archive.writestr("cat/c.png", b"member")
    files = listed_in_folder(inside)
    assert bytes_of(files, inside / "link.png") == b"outside"
    assert bytes_of(files, f"zip://cat/c.png::{inside / 'b.zip'}") == b"member"
    for path in (tmp_path / "secret.png", f"{inside}/../secret.png", f"zip://cat/c.png::{tmp_path / 'b.zip'}"):
        with pytest.raises(CorruptImageError):
            bytes_of(files, path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    own = tmp_path / "hub" / "datasets--org--birds" / "snapshots"
    other = tmp_path / "hub" / "datasets--org--birds-private"
    for folder in (own, other):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"cached")
    assert bytes_of(listed_on_hub("org/birds"), own / "a.png") == b"cached"
    for path in (other / "a.png", inside / "own.png", "hf://datasets/org/birds-private@main/a.png"):
        with pytest.raises(CorruptImageError):
            bytes_of(listed_on_hub("org/birds"), path)


def write(folder, feature, values):
    for split in ("train", "test"):
        features = Features({"image": feature, "label": TEXT})
        rows = Dataset.from_dict({"image": values, "label": LABELS}, features=features)
        rows.to_parquet(folder / f"{split}.parquet")
    return folder


def load(folder, streaming, **options):
    options = {"image_column_name": "image", "streaming": streaming} | options
    domain = load_domain(DomainArguments(str(folder), **options))
    domain.test.fingerprint()
    return domain


ENCODED = [encoded(name, row) for row, name in enumerate(LABELS)]
COLOURED = [np.asarray(picture(name, row, 12)) for row, name in enumerate(LABELS)]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (Value("binary"), ENCODED),
        ({"bytes": Value("binary"), "path": TEXT}, [{"bytes": each, "path": "/etc/passwd"} for each in ENCODED]),
        (TEXT, [f"pictures/{row}.png" for row in range(12)]),
        (List(List(List(Value("uint8")))), [each.tolist() for each in COLOURED]),
        (List(List(List(Value("int64")))), [each.tolist() for each in COLOURED]),
        (Array3D((12, 12, 3), "uint8"), COLOURED),
    ],
)
def test_pictures_in_other_forms_are_read(tmp_path, feature, values, streaming):
    (tmp_path / "pictures").mkdir()
    for row, each in enumerate(ENCODED):
        (tmp_path / "pictures" / f"{row}.png").write_bytes(each)
    domain = load(write(tmp_path, feature, values), streaming)
    assert [domain.class_names[label] for label in domain.test.labels] == LABELS
    assert [colour_of(domain.test.image(position)) for position in range(12)] == LABELS


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "feature", [List(List(Value("uint8"))), List(List(Value("int64"))), Array2D((12, 12), "uint8")]
)
def test_gray_arrays_keep_their_shades(tmp_path, feature, streaming):
    domain = load(write(tmp_path, feature, [each[..., 0].tolist() for each in COLOURED]), streaming)
    assert np.array_equal(np.asarray(domain.test.image(3))[..., 0], COLOURED[3][..., 0])


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("feature", "values", "reason"),
    [
        (List(List(List(Value("float32")))), [(each / 255).tolist() for each in COLOURED], "arrays of float32"),
        (List(Value("uint8")), [each[..., 0].ravel().tolist() for each in COLOURED], "flat lists of numbers"),
        (
            List(List(List(Value("uint8")))),
            [each.transpose(2, 0, 1).tolist() for each in COLOURED],
            r"row 0 .* \(3, 12, 12\).* channels seem to come first",
        ),
        (List(List(Value("int64"))), [(16 * each[..., 0].astype(int)).tolist() for each in COLOURED], "numbers from"),
        (List(Image()), [[{"bytes": each, "path": None}] for each in ENCODED], "lists; it needs one image per row"),
        ({"data": Value("binary")}, [{"data": each} for each in ENCODED], "a struct needs a field bytes or path"),
        (TEXT, [base64.b64encode(each).decode() for each in ENCODED], "it is text, possibly base64"),
        (TEXT, ["http://127.0.0.1:9/a.png"] * 12, "it is a web address"),
        (
            TEXT,
            ["absent.png"] * 12,
            r"(image|row) 0 of .*split '.*' \(absent.png\) can't be decoded: there is no such file",
        ),
        (TEXT, ["/etc/hostname"] * 12, "it lies outside the dataset's folder"),
        (Value("int64"), [3] * 12, "holds no pictures"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(tmp_path, feature, values, reason, streaming):
    with pytest.raises(InputError, match=reason):
        load(write(tmp_path, feature, values), streaming)


@pytest.mark.parametrize("streaming", [False, True])
def test_missing_files_are_left_out_where_asked(tmp_path, streaming):
    (tmp_path / "pictures").mkdir()
    names = [f"pictures/{row}.png" for row in range(12)]
    for row in range(0, 12, 2):
        (tmp_path / names[row]).write_bytes(ENCODED[row])
    (tmp_path / names[3]).write_bytes(ENCODED[3])
    domain = load(write(tmp_path, TEXT, names), streaming, skip_corrupt=True, train_val_split=0.4)
    assert domain.test.sample_ids.tolist() == [0, 2, 3, 4, 6, 8, 10]
    assert any("5 images of split 'test' could not be decoded" in note for note in domain.notes)
