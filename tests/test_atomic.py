"""What is written appears whole or not at all, whatever happens while it is written."""

import pytest

from models.atomic import TEMPORARY, placed, write_whole


def names(folder) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file"
    with placed(path) as temporary:
        temporary.write_bytes(b"whole")
        assert not path.exists()
        assert temporary.parent == path.parent, "a rename across file systems would copy"
    assert path.read_bytes() == b"whole"
    assert names(path.parent) == ["file"]


def test_a_file_takes_the_place_of_an_older_one(tmp_path):
    path = write_whole(tmp_path / "file", b"old, and longer")
    assert write_whole(path, b"new") == path
    assert path.read_bytes() == b"new"


def test_a_folder_takes_the_place_of_an_older_one_with_other_files(tmp_path):
    path = tmp_path / "folder"
    for name in ("old", "new"):
        with placed(path) as temporary:
            temporary.mkdir()
            (temporary / name).touch()
    assert names(path) == ["new"]


def cut_off(path, error: BaseException) -> None:
    """Begins to write a folder and fails."""
    with placed(path) as temporary:
        (temporary / "new").mkdir(parents=True)
        raise error


@pytest.mark.parametrize("error", [OSError("no room"), KeyboardInterrupt("no room")])
def test_what_fails_leaves_the_older_one_and_nothing_else(tmp_path, error):
    file, folder = write_whole(tmp_path / "file", b"old"), tmp_path / "folder"
    (folder / "old").mkdir(parents=True)
    for path in (file, folder):
        with pytest.raises(type(error), match="no room"):
            cut_off(path, error)
    assert file.read_bytes() == b"old"
    assert names(folder) == ["old"]
    assert names(tmp_path) == ["file", "folder"]


def test_what_a_killed_process_left_is_no_hindrance(tmp_path):
    (tmp_path / TEMPORARY.format("folder") / "half").mkdir(parents=True)
    with placed(tmp_path / "folder") as temporary:
        (temporary / "whole").mkdir(parents=True)
    (tmp_path / TEMPORARY.format("file")).write_bytes(b"half of something longer")
    write_whole(tmp_path / "file", b"whole")
    assert names(tmp_path) == ["file", "folder"]
    assert names(tmp_path / "folder") == ["whole"]
    assert (tmp_path / "file").read_bytes() == b"whole"
