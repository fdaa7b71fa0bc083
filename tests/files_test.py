"""A path is replaced whole or not at all."""

import os

import pytest

from keras_ae._files import replacing


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def write_and_fail(path):
    with replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("boom")


def write_folder(path):
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "new").write_text("half")


def test_writes_and_replaces_a_file(tmp_path):
    path = tmp_path / "a.keras"
    for content in ("one", "two"):
        with replacing(path) as temporary:
            assert temporary.name == "a.keras"
            temporary.write_text(content)
        assert path.read_text() == content
    assert names(tmp_path) == ["a.keras"]


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(RuntimeError, match=r"boom"):
        write_and_fail(path)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_writes_and_replaces_a_folder(tmp_path):
    path = tmp_path / "model"
    for content in ("one", "two"):
        with replacing(path) as temporary:
            (temporary / "variables").mkdir(parents=True)
            (temporary / "variables" / content).write_text(content)
        assert names(path / "variables") == [content]
    assert names(tmp_path) == ["model"]


def test_a_folder_replaces_a_file(tmp_path):
    path = tmp_path / "model"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.mkdir()
    assert path.is_dir()
    assert names(tmp_path) == ["model"]


def test_an_exception_leaves_the_old_folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    with pytest.raises(RuntimeError, match=r"boom"):
        write_and_fail(path)
    assert names(path) == []
    assert names(tmp_path) == ["model"]


def test_a_failed_rename_leaves_the_old_folder(tmp_path, monkeypatch):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    rename = os.rename

    def fail_on_the_new_one(source, target):
        if "aside" not in f"{source}{target}":
            raise OSError("boom")
        rename(source, target)

    monkeypatch.setattr("keras_ae._files.os.rename", fail_on_the_new_one)
    with pytest.raises(OSError, match=r"boom"):
        write_folder(path)
    assert names(path) == ["old"]
    assert names(tmp_path) == ["model"]


def test_a_file_does_not_replace_a_folder(tmp_path):
    (tmp_path / "model").mkdir()
    with (
        pytest.raises(ValueError, match=r"path must not be a folder. Received: path="),
        replacing(tmp_path / "model") as temporary,
    ):
        temporary.write_text("x")
    assert names(tmp_path) == ["model"]


def test_nothing_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a"):
        pass
    assert names(tmp_path) == []


def test_relative_paths_stand_in_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replacing("a") as temporary:
        temporary.write_text("x")
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("path", ["missing/a", "file/a", "/proc/a", "nul\0/a"])
def test_refuses_a_folder_that_cannot_be_written(tmp_path, path):
    (tmp_path / "file").write_text("x")
    message = r"path must lie in an existing, writable folder. Received: path='"
    with pytest.raises(ValueError, match=message), replacing(str(tmp_path / path)):
        raise AssertionError("the block must not run")
    assert names(tmp_path) == ["file"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"
