"""Where a file goes, and that this can be written before anything is paid for."""

from __future__ import annotations

from pathlib import Path

import pytest

from multivideo.errors import InvalidRequest
from multivideo.jobs.target import prepared, target

NAME = "veo-3.1-mv-1.mp4"


def placed(save_to: str | None, home: Path, take: int = 1, model: str = "veo-3.1", job_id: str = "mv-1") -> Path:
    return target(save_to, home, model, job_id, take)


def test_a_named_file_is_that_file_and_a_folder_gets_a_name(tmp_path: Path) -> None:
    (tmp_path / "clips.d").mkdir()
    assert placed(str(tmp_path / "coast.mp4"), tmp_path) == tmp_path / "coast.mp4"
    assert placed(str(tmp_path / "clips"), tmp_path) == tmp_path / "clips" / NAME
    assert placed(f"{tmp_path}/new.d/", tmp_path) == tmp_path / "new.d" / NAME
    assert placed(str(tmp_path / "clips.d"), tmp_path) == tmp_path / "clips.d" / NAME


def test_a_file_without_a_place_goes_home(tmp_path: Path) -> None:
    assert placed(None, tmp_path) == tmp_path / "videos" / NAME


def test_later_takes_are_numbered(tmp_path: Path) -> None:
    assert [placed("a/coast.v2.mp4", tmp_path, take) for take in (1, 2, 10)] == [
        Path("a/coast.v2.mp4"),
        Path("a/coast.v2-2.mp4"),
        Path("a/coast.v2-10.mp4"),
    ]
    assert placed(None, tmp_path, 3).name == "veo-3.1-mv-1-3.mp4"


@pytest.mark.parametrize(
    ("model", "job_id", "name"),
    [
        ("Wan-AI/Wan2.2-T2V", "mv-1", "Wan-AI-Wan2.2-T2V-mv-1.mp4"),
        ("../../etc/passwd", "mv-1", "etc-passwd-mv-1.mp4"),
        ("veo", "../../x", "veo-x.mp4"),
        ("a\0b\n:*?", "mv 1", "a-b--mv-1.mp4"),
        ("日本", "mv-1", "video-mv-1.mp4"),
        ("x" * 300, "y" * 300, f"{'x' * 100}-{'y' * 100}.mp4"),
    ],
)
def test_a_name_of_a_model_or_a_job_never_leaves_the_folder(tmp_path: Path, model: str, job_id: str, name: str) -> None:
    assert placed(None, tmp_path, 1, model, job_id) == tmp_path / "videos" / name
    assert placed(f"{tmp_path}/", tmp_path, 1, model, job_id) == tmp_path / name


def test_the_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    prepared(tmp_path / "a" / "b" / "coast.mp4")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_that_is_there_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "coast.mp4"
    file.write_bytes(b"old")
    prepared(file)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def refused(path: Path) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        prepared(path)
    assert (caught.value.field, caught.value.charged) == ("save_to", "no")
    return caught.value


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert "Not a directory" in refused(tmp_path / "file" / "deep" / "coast.mp4").asked
    assert "(File exists)" in refused(tmp_path / "file" / "coast.mp4").asked


def test_a_name_that_is_too_long_is_refused_and_not_repeated(tmp_path: Path) -> None:
    error = refused(tmp_path / f"{'x' * 300}.mp4")
    assert "File name too long" in error.asked
    assert "x" * 100 not in str(error)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "coast.mp4").mkdir()
    assert "which is a folder" in refused(tmp_path / "coast.mp4").asked
