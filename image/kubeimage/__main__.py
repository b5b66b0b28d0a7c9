"""image/build [FOLDER]: makes FOLDER/kubestrap-image.tar of FOLDER/kubestrap, unless it is there and nothing has changed since."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from kubelab import oci, paths, shell, store
from kubelab.errors import LabError

from . import apt, contents

SOURCES = Path(__file__).resolve().parent.parent
ARCHIVE = "kubestrap-image.tar"


class Said:
    """Lines on stderr."""

    def detail(self, text: str) -> None:
        print(f"image: {text}", file=sys.stderr, flush=True)


def epoch() -> int:
    """SOURCE_DATE_EPOCH, or when the checked out commit was made; 0 where neither is known."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    try:
        asked = ["git", "-c", "safe.directory=*", "log", "-1", "--format=%ct"]
        return int(shell.run(asked, cwd=paths.CHECKOUT))
    except LabError:  # no git, or sources that came without their history
        return 0


def build(folder: Path, progress) -> Path:
    """The archive beside the binary. What it was made of is noted beside it, so that a second call is over at once."""
    binary, archive = folder / "kubestrap", folder / ARCHIVE
    if not binary.exists():
        raise LabError(f"{binary} is missing", "./build.sh release builds it, and the image too")
    note, moment, license = folder / (ARCHIVE + ".inputs"), epoch(), paths.CHECKOUT / "LICENSE"
    inputs = store.digest(binary, license, SOURCES / "kubeimage", Path(oci.__file__), apt.state(), str(moment))
    if archive.exists() and note.exists() and note.read_text() == inputs:
        return archive
    for old in (note, archive):
        old.unlink(missing_ok=True)
    started = time.monotonic()
    version = shell.run([binary, "version", "-o", "short"]).strip().removeprefix("v")
    image = contents.describe(
        contents.packaged(binary, progress), binary, license, version, apt.architecture(), moment
    )
    partial = archive.with_name(ARCHIVE + ".partial")
    digest = oci.write(image, partial)
    partial.rename(archive)
    note.write_text(inputs)
    size, seconds = archive.stat().st_size / 1e6, time.monotonic() - started
    progress.detail(f"{archive} has {image.reference}, {digest}: {size:.1f} MB, made in {seconds:.1f} s")
    return archive


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else paths.CHECKOUT / "build/release"
    if os.geteuid() != 0:  # whose is /var/cache
        os.environ.setdefault("KUBESTRAP_LAB_CACHE", str(Path.home() / ".cache/kubestrap-lab"))
    try:
        build(folder.resolve(), Said())
    except LabError as error:
        print(f"error: {error}", *filter(None, (error.evidence, error.remedy)), sep="\n  ", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
