"""The commands of the tables run: their figures are made by hand, with the full data."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["hashing_images", "hashing_text"])
def test_the_quick_form_writes_every_row(name, tmp_path):
    script = ROOT / "benchmarks" / "tables" / f"{name}.py"
    done = subprocess.run(
        [sys.executable, script, "--quick", "--out", tmp_path / "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    written = json.loads((tmp_path / "out.json").read_text())
    methods = [row["method"] for row in written["rows"]]
    assert "SemanticHasher with views" in methods
    assert any(method.startswith("cosine of") for method in methods)
    for row in written["rows"]:
        # Ten classes: chance is a tenth.
        assert 0.1 < row["P@100"] < 1
        assert 0.1 < row["mAP"] < 1
    assert len((tmp_path / "out.md").read_text().splitlines()) == 2 + len(methods)
