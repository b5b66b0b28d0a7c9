"""`config migrate` judged by the real kubeadm: what it makes of files of v1beta3 is what kubeadm 1.36, the last to read them, makes of them."""

import json
import subprocess
from pathlib import Path

import pytest
from kubelab import components
from testbed import OLDER, ROOT, VERSION

FILES = sorted((ROOT / "tests/unit/config/data/v1beta3").glob("*.yaml"))
OURS = ROOT / "build/release/kubestrap"


def kubeadm(version: str) -> Path:
    if not components.have(version):
        pytest.skip(f"the components of {version} are not built")
    folder = subprocess.run([ROOT / "lab/components", version], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1]
    return Path(folder) / "kubeadm"


def migrated(program: Path, file: Path, into: Path) -> Path:
    result = subprocess.run([program, "config", "migrate", "--old-config", file, "--new-config", into], stderr=subprocess.PIPE, text=True)
    assert result.returncode == 0, result.stderr
    return into


def documents(file: Path) -> dict[str, dict]:
    """By kind; without the token that kubeadm makes up where none is given. A file of v1beta4 is migrated to itself, so to JSON here."""
    text = subprocess.run([OURS, "config", "migrate", "--old-config", file, "-o", "json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    found, decoder = {}, json.JSONDecoder()
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found[document["kind"]] = document
        text = text[end:]
    for token in found.get("InitConfiguration", {}).get("bootstrapTokens", []):
        if token.get("description") != "for tests":
            token.pop("token")
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_converted_files_are_valid_for_kubeadm(file, tmp_path):
    new = migrated(OURS, file, tmp_path / "new.yaml")
    result = subprocess.run([kubeadm(VERSION), "config", "validate", "--config", new], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, "ok"), result.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_converted_files_mean_to_kubeadm_what_the_old_ones_meant(file, tmp_path):
    # The newer one fills in the defaults of ours: 1.36.3 writes a health check of 0s into whatever file of v1beta4 it migrates.
    wanted = documents(migrated(kubeadm(OLDER), file, tmp_path / "theirs.yaml"))
    meant = documents(migrated(kubeadm(VERSION), migrated(OURS, file, tmp_path / "ours.yaml"), tmp_path / "ours-by-them.yaml"))
    assert meant == wanted
