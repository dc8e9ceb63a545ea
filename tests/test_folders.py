"""Laws of folders of images at the command line: which row is which file, and what became of it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.command_line import call, done

from isthmus import Autoencoder, DataError, open_data
from isthmus.data.arrays import images
from isthmus.data.arrays.images import to_pixels

pytestmark = pytest.mark.filterwarnings("always:.*are left out")
GREY = (2, 5, 7)
N = 12


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve images in two folders, three of them grey, and two files that are none."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for i in range(N):
        place = tmp_path / "photos" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(rng.integers(0, 255, (9, 8, 3), dtype=np.uint8))
        (image.convert("L") if i in GREY else image).save(place / f"{i}.png")
    for place in "ab":
        (tmp_path / "photos" / place / "1x.png").write_bytes(b"nothing")
    return tmp_path


def fitted(run: str = "run") -> None:
    fit = ("fit", "photos", "--max-skipped", "0.2", "--n-components", "2", "--max-epochs", "1")
    assert call(*fit, "--out", run)[0] == 0


def in_csv(path: str) -> tuple[list[str], list[list[str]]]:
    with Path(path).open(newline="") as file:
        head, *rows = csv.reader(file)
    return head, rows


def paths() -> list[str]:
    return [f"{place}/{i}.png" for place in "ab" for i in range(N) if i % 2 == "ab".index(place)]


@pytest.mark.parametrize("verb", ["transform", "score", "reconstruct", "outliers"])
def test_every_row_that_is_written_names_its_file(verb: str, photos: Path) -> None:
    fitted()
    words = {
        "outliers": ["outliers", "photos", "--max-skipped", "0.2", "--max-epochs", "1"],
    }.get(verb, [verb, "run", "photos"])
    for ending in (".csv", ".parquet", ".npy"):
        code, out, err = call(*words, "--out", f"o{ending}", "--force")
        assert code == 0, err
        assert ("file" in out.rpartition("written to")[2]) == (ending != ".npy")
    head, rows = in_csv("o.csv")
    table = pq.read_table("o.parquet")
    assert head[0] == table.schema.names[0] == "file"
    assert [row[0] for row in rows] == table["file"].to_pylist() == paths()
    figures = np.array([row[1:] for row in rows], np.float64)
    np.testing.assert_allclose(figures, np.load("o.npy"), rtol=1e-6)


def test_a_row_is_that_of_the_file_it_names(photos: Path) -> None:
    fitted()
    assert call("reconstruct", "run", "photos", "--out", "all.csv")[0] == 0
    every = {row[0]: row[1:] for row in in_csv("all.csv")[1]}
    for place in "ab":
        words = ("reconstruct", "run", f"photos/{place}", "--out", "some.csv", "--force")
        assert call(*words, "--max-skipped", "0.2")[0] == 0
        for name, *values in in_csv("some.csv")[1]:
            there = np.array(every[f"{place}/{name}"], np.float64)
            np.testing.assert_allclose(np.array(values, np.float64), there, atol=1e-3)


def test_outliers_of_a_folder_are_told_by_their_files(photos: Path) -> None:
    words = ("outliers", "photos", "--max-skipped", "0.2", "--max-epochs", "1", "--json")
    found = json.loads(call(*words)[1])
    assert found["outliers"]
    for one in found["outliers"]:
        assert one["file"] == paths()[one["row"]]
    assert found["skipped"] == ["photos/a/1x.png", "photos/b/1x.png"]
    assert "file" in call(*words[:-1])[1]


def test_all_that_is_skipped_is_named_up_to_ten(photos: Path) -> None:
    with pytest.warns(UserWarning, match=r"photos/a/1x.png .*photos/b/1x.png \(cannot identify"):
        open_data("photos", max_skipped=0.2)
    for i in range(10):
        (photos / "photos" / "b" / f"{i}x.png").write_bytes(b"nothing")
    with pytest.warns(UserWarning, match=r"11 of 23 images .* and 1 more\.$"):
        open_data("photos", max_skipped=0.9)
    with pytest.raises(DataError, match=r"11 of 23 cannot: .* and 1 more"):
        open_data("photos")


def test_grey_images_among_others_are_counted(photos: Path) -> None:
    said = "3 of 12 images of photos are grey and were made red, green and blue."
    words = ("fit", "photos", "--max-skipped", "0.2", "--n-components", "2", "--max-epochs", "1")
    code, out, _ = call(*words, "--out", "run")
    assert (code, out.count(said)) == (0, 1)
    assert said in call("info", "photos")[1].replace("\n", " ")
    assert said in json.loads(call("info", "photos", "--json")[1])["warnings"]
    with Image.open("photos/a/2.png") as image:
        grey = to_pixels(image, (9, 8), grey=False)
    assert (grey == grey[:1]).all()


def test_files_that_are_no_images_among_many_are_not_suggested(photos: Path) -> None:
    (photos / "photos" / "notes.csv").write_text("a,b\n1,2\n")
    for name in ("photos", "phot*"):
        with pytest.raises(DataError, match=r"'(photos/)?\*\*/\*.png', or move the others"):
            open_data(name)


def test_images_and_tables_are_not_taken_for_one_another(photos: Path) -> None:
    np.savetxt(
        "t.csv",
        np.random.default_rng(0).normal(size=(30, 3)),
        header="a,b,c",
        comments="",
        delimiter=",",
    )
    done("fit", "t.csv", "--n-components", "2", "--max-epochs", "1", "--out", "of_table")
    fitted("of_images")
    for verb in ("score", "evaluate", "transform"):
        out = ("--out", "o.csv") if verb == "transform" else ()
        code, _, err = call(verb, "of_table", "photos", "--max-skipped", "0.2", *out)
        assert code == 2
        assert "images of 3 x 9 x 8 must be a table" in err
        assert "3 columns: 'a', 'b', 'c'. Give rows with these columns" in err
        code, _, err = call(verb, "of_images", "t.csv", *out)
        assert code == 2
        assert "t.csv with 3 columns must be images of 3 x 9 x 8" in err
    flat = Autoencoder(2, max_epochs=1).fit(np.random.default_rng(0).normal(size=(30, 72)))
    with pytest.raises(DataError, match=r"X with images of 1 x 9 x 8 must be a table"):
        flat.transform(np.zeros((2, 1, 9, 8)))


def test_a_saved_detector_reads_images_and_words_as_its_fit_did(photos: Path) -> None:
    words = ("outliers", "photos", "--max-skipped", "0.2", "--max-epochs", "1", "--save", "det")
    assert call(*words, "--json")[0] == 0
    own = json.loads(call("outliers", "photos", "--detector", "det", "--json")[1])
    assert own["n_rows"] == N
    for place in ("photos/a", "photos/b"):  # b holds no grey image only by chance of its files
        for path in Path(place).glob("*.png"):
            if path.name != "1x.png":
                with Image.open(path) as image:
                    image.convert("L").resize((20, 30)).save(path)
    code, out, err = call("outliers", "photos", "--detector", "det", "--json")
    assert code == 0, err
    assert json.loads(out)["notes"] == [
        "12 of 12 images of photos are grey and were made red, green and blue."
    ]

    rng = np.random.default_rng(0)
    lines = [f"{rng.normal():.3f},{rng.normal():.3f},{'-999' if i % 9 else 1}" for i in range(60)]
    Path("t.csv").write_text("\n".join(["a,b,c", *lines]))
    done(
        "outliers",
        "t.csv",
        "--na-values",
        "-999",
        "--drop",
        "a",
        "--save",
        "d2",
        "--max-epochs",
        "1",
        "-q",
    )
    there = call("outliers", "t.csv", "--detector", "d2", "--json")
    here = call("outliers", "t.csv", "--detector", "d2", "--na-values", "-999", "--json")
    assert there[1] == here[1]
    assert json.loads(there[1])["left_out"] == []


def test_what_is_held_in_memory_changes_no_name(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "HELD", 0)
    with pytest.warns(UserWarning, match="left out"):
        assert open_data("photos", max_skipped=0.2).files == tuple(paths())
