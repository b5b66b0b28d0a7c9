"""What is in the image: tables first, then how packages' files are chosen."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kubelab import oci, store
from kubelab.errors import LabError

from . import apt, elf

REPOSITORY = "kubestrap.io/kubestrap"
PROGRAMS = {"haproxy": "/usr/sbin/haproxy", "keepalived": "/usr/sbin/keepalived"}  # package -> what is wanted of it
OPENED = ["libcurl.so.4"]  # what the binary opens when it needs it, and does not name in its header (net/curl_library.cpp)
# Whose code the release binary has in itself: their terms ask for their copyright to go with it.
LINKED_IN = "libstdc++6 libyaml-cpp-dev libprotobuf-dev libfmt-dev nlohmann-json3-dev libcli11-dev libtomlplusplus-dev libarchive-dev libzstd-dev liblzma-dev".split()
FRONT = 65532  # the front's user, which owns nothing
TEXTS = {
    "/etc/passwd": f"root:x:0:0:root:/:/nologin\nfront:x:{FRONT}:{FRONT}:front:/:/nologin\n",
    "/etc/group": f"root:x:0:\nfront:x:{FRONT}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
TEXTS_OF_PACKAGES = "usr/share/doc"


def packaged(binary: Path, progress) -> Path:
    """The folder with all that packages have to give: the programs, the libraries of these and of the binary."""
    try:
        return _packaged(binary, progress)
    except LabError as failed:
        if os.geteuid() != 0:
            raise
        progress.detail(f"updating apt's lists, since {failed}")
        apt.update()
        return _packaged(binary, progress)


def _packaged(binary: Path, progress) -> Path:
    libraries = [*elf.read(binary)[0], *OPENED]
    packages = apt.resolve([*PROGRAMS, *apt.owners(libraries), *LINKED_IN])
    recipe = [Path(module.__file__) for module in (apt, elf)] + [Path(__file__)]
    key = store.digest(*(f"{one.file} {one.digest}" for one in packages), *libraries, *recipe)

    def build(into: Path) -> None:
        progress.detail(f"downloading and unpacking {len(packages)} packages")
        scratch = into / "scratch"
        scratch.mkdir()
        taken = collect(apt.unpack(packages, scratch), list(PROGRAMS.values()), binary, OPENED, into / "root")
        shutil.rmtree(scratch)
        (into / "root/run").mkdir()  # where keepalived notes its process
        lines = [f"{one.name} {one.version}\n" for one in packages if one.name in taken]
        (into / "root" / TEXTS_OF_PACKAGES / "kubestrap").mkdir()
        (into / "root" / TEXTS_OF_PACKAGES / "kubestrap/packages").write_text("".join(lines))

    made = store.make("image", f"packaged-{key}", build=build, progress=progress)
    store.prune(made)
    return made / "root"


def collect(trees: dict[str, Path], programs: list[str], binary: Path, opened: list[str], into: Path) -> set[str]:
    """Copies from unpacked packages the programs, every library that these and the binary need or open, and the copyright
    of all whose files were taken; the names of those packages."""
    shelf = {file.name: (package, file) for package, tree in sorted(trees.items()) for file in _libraries(tree)}
    taken = {name for name in LINKED_IN if name in trees}
    chosen = {program: _program(trees, program) for program in programs}

    def locate(name: str, by: str) -> Path:
        if name not in shelf:
            raise LabError(f"no package that was downloaded has {name}, which {by or 'a program'} needs")
        return shelf[name][1]

    needed, loaders = list(opened), set()
    for file in [*chosen.values(), binary]:
        names, loader = elf.read(file)
        needed += names
        loaders.add(loader)
    for name, file in elf.closure([*needed, *(Path(loader).name for loader in loaders if loader)], locate).items():
        package = shelf[name][0]
        taken.add(package)
        _copy(file, into / _place(file.relative_to(trees[package])))
    for program, file in chosen.items():
        taken.add(next(package for package, tree in trees.items() if file.is_relative_to(tree)))
        _copy(file, into / program.lstrip("/"))
    for loader in filter(None, loaders):
        _link_loader(into, loader)
    for package in sorted(taken):
        _copy(_copyright(trees, package), into / TEXTS_OF_PACKAGES / package / "copyright")
    return taken


def _libraries(tree: Path) -> list[Path]:
    """What lies where the loader looks: lib/TRIPLE and usr/lib/TRIPLE."""
    return sorted(file for folder in ("lib", "usr/lib") for file in (tree / folder).glob("*-linux-*/*.so*"))


def _program(trees: dict[str, Path], path: str) -> Path:
    for tree in trees.values():
        if (file := tree / path.lstrip("/")).is_file():
            return file
    raise LabError(f"no package that was downloaded has {path}")


def _place(path: Path) -> Path:
    """Where a library lies in the image, which has /usr/lib only."""
    return path if path.parts[0] == "usr" else Path("usr") / path


def _link_loader(root: Path, loader: str) -> None:
    """Programs name their loader by a path that is a link in every distribution: /lib64/ld-linux-x86-64.so.2."""
    link = root / loader.lstrip("/")
    (real,) = (root / "usr/lib").glob(f"*-linux-*/{link.name}")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(os.path.relpath(real, link.parent))


def _copyright(trees: dict[str, Path], package: str) -> Path:
    """Packages of one source often share a text: their folder, or the file in it, is a link to another package's."""
    folder = trees[package] / TEXTS_OF_PACKAGES / package
    file = folder / "copyright"
    if folder.is_symlink():
        return _copyright(trees, Path(os.readlink(folder)).name)
    return _copyright(trees, Path(os.readlink(file)).parent.name) if file.is_symlink() else file


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def describe(root: Path, binary: Path, license: Path, version: str, architecture: str, epoch: int) -> oci.Image:
    """The image of a version: the packages' files, the binary, and the few lines in /etc."""
    files = {f"/{path.name}": path for path in root.iterdir()}
    files |= {"/usr/bin/kubestrap": binary, f"/{TEXTS_OF_PACKAGES}/kubestrap/copyright": license}
    label = "org.opencontainers.image."
    return oci.Image(
        f"{REPOSITORY}:v{version}",
        files,
        texts=TEXTS,
        labels={
            label + "title": "kubestrap",
            label + "description": "kubestrap, HAProxy and keepalived: the front, the virtual IP, the guard and node operations",
            label + "version": version,
            label + "vendor": "kubestrap",
        },
        architecture=architecture,
        epoch=epoch,
        compressed=True,
    )
