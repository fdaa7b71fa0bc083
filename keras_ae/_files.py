"""Write a file or folder whole or not at all."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import save_file


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path, and move what is written there to `path` if the block succeeds.

    The temporary path has the name of `path`, because some writers go by the suffix, and lies in a
    hidden folder beside it. A file or folder already at `path` is replaced only once the new one
    is complete, a file by one of its mode; after an exception it is as it was. Either way the
    hidden folder is removed.

    Args:
        path: Where the file or folder is to stand. Its parent folder must exist. A symbolic link
            stays one, and what it points to is replaced.

    Raises:
        ValueError: If the parent is missing or not writable, or a folder stands at `path` and a
            file was written.

    Example:
        >>> path = Path(tempfile.mkdtemp(), "codes.bin")
        >>> with replacing(path) as temporary:
        ...     _ = temporary.write_bytes(b"1234")
        >>> path.read_bytes()
        b'1234'
    """
    try:
        target = Path(os.path.realpath(path))
        workshop = Path(tempfile.mkdtemp(prefix=".keras_ae-", dir=target.parent))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"path must lie in an existing, writable folder. Received: path={os.fspath(path)!r}"
        ) from error
    try:
        temporary = workshop / target.name
        yield temporary
        if temporary.is_dir():
            for file in temporary.rglob("*"):
                _flush(file)
            _replace_folder(temporary, target, aside=workshop / "aside" / target.name)
        elif target.is_dir():
            raise ValueError(f"path must not be a folder. Received: path={os.fspath(path)!r}")
        else:
            _flush(temporary)
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def write_tensors(
    path: Path, tensors: dict[str, npt.NDArray[Any]], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file with the mode of any new file: safetensors has another."""
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:  # It has a type of its own for a full disk.
        raise OSError(f"{path.name}: {error}") from error
    path.chmod(mode)


def _flush(file: Path) -> None:
    """Force a file to disk: after a power cut a renamed file could otherwise be empty."""
    if file.is_file():
        with open(file, "rb+") as stream:
            os.fsync(stream.fileno())


def _replace_folder(temporary: Path, target: Path, aside: Path) -> None:
    # A rename cannot replace a folder that has something in it.
    aside.parent.mkdir()
    if os.path.lexists(target):
        os.rename(target, aside)
    try:
        os.rename(temporary, target)
    except OSError:
        if os.path.lexists(aside):
            os.rename(aside, target)
        raise
