"""Add-ons of a cluster that can be built from Go modules: their programs, their images and their makers' manifests.

Nothing of it is made before a test asks for it. The manifests are read from the modules where they are needed, and no copy of them is kept.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import components, golang, oci, rootfs, shell, store
from . import images as lab_images

TRAEFIK_EXT = components.module_folder("addons", "traefik-ext")


@dataclass(frozen=True)
class Without:
    """A module less some of its packages, which need other modules that cannot be had. A short text stands in a package's place."""

    module: str
    version: str
    packages: dict[str, str]  # folder -> text

    @property
    def folder(self) -> str:
        return "without/" + self.module.replace("/", "-")


# The DNS services that traefik could ask for certificates with: over a hundred modules.
NO_DNS_PROVIDERS = """package dns

import (
	"errors"

	"github.com/go-acme/lego/v5/challenge"
)

func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
	return nil, errors.New(name + " was left out of this build")
}
"""


# BGP by frr-k8s, of which no version that knows all of its words can be had. What answers on the nodes' own network (L2) is not touched by it.
NO_FRR = """package frrk8s

import (
	"errors"

	"github.com/go-kit/log"
	frrv1beta1 "github.com/metallb/frr-k8s/api/v1beta1"
	"go.universe.tf/metallb/internal/bgp"
	"go.universe.tf/metallb/internal/logging"
)

var errLeftOut = errors.New("BGP by frr-k8s was left out of this build")

func NewSessionManager(log.Logger, logging.Level, string, string) bgp.SessionManager {
	panic(errLeftOut)
}

func ConfigName(node string) string { return node }

func ConfigToDump(frrv1beta1.FRRConfiguration) (string, error) { return "", errLeftOut }
"""


@dataclass(frozen=True)
class Addon:
    """One module and what is made of it."""

    module: str
    version: str
    programs: dict[str, str]  # package -> program
    manifests: dict[str, str] = field(default_factory=dict)  # name -> file or folder in the module
    without: tuple[Without, ...] = ()
    replaced: dict[str, str] = field(default_factory=dict)  # module -> what takes its place

    def folder(self, name: str) -> Path:
        return components.module_folder("addons", name)


ADDONS = {
    "flannel": Addon(
        "github.com/flannel-io/flannel", "v0.28.10", {"github.com/flannel-io/flannel": "flanneld", "github.com/flannel-io/flannel/cmd/install_conf": "install-conf"}, {"flannel": "Documentation/kube-flannel.yml"},
        # The second is half written in C.
        without=(Without("github.com/flannel-io/flannel", "v0.28.10", {"pkg/backend/tencentvpc": "package tencentvpc\n", "pkg/backend/udp": "package udp\n"}),),
    ),
    "flannel-cni": Addon("github.com/containernetworking/cni", "v1.3.1", {"kubestrap.io/lab/addons/flannel-cni": "flannel"}),
    "metallb": Addon(
        "go.universe.tf/metallb",
        "v0.16.2",
        {"go.universe.tf/metallb/controller": "controller", "go.universe.tf/metallb/speaker": "speaker"},
        {"metallb": "config/manifests/metallb-native.yaml"},
        without=(Without("go.universe.tf/metallb", "v0.16.2", {"internal/bgp/frrk8s": NO_FRR}),),
        replaced={"github.com/metallb/frr-k8s": "github.com/metallb/frr-k8s v0.0.21"},
    ),
    "metrics-server": Addon(
        "sigs.k8s.io/metrics-server", "v0.9.0", {"sigs.k8s.io/metrics-server/cmd/metrics-server": "metrics-server"}, {"metrics-server": "manifests/base"}
    ),
    "traefik": Addon(
        "github.com/traefik/traefik/v3",
        "v3.7.13",
        {"github.com/traefik/traefik/v3/cmd/traefik": "traefik"},
        {
            "traefik-crds": "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
            "traefik-rbac": "docs/content/reference/dynamic-configuration/kubernetes-crd-rbac.yml",
        },
        without=(
            Without("github.com/go-acme/lego/v5", "v5.4.1", {"providers/dns": NO_DNS_PROVIDERS}),
        ),
        replaced={"github.com/traefik/traefik/dynamic/ext": "./traefik-ext", "github.com/abbot/go-http-auth": "github.com/containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e"},
    ),
    "local-path": Addon(
        "github.com/rancher/local-path-provisioner",
        "v0.0.30",
        {"github.com/rancher/local-path-provisioner": "local-path-provisioner"},
        {"local-path": "deploy/local-path-storage.yaml"},
    ),
}


def make(name: str, progress) -> Path:
    """The folder with the programs of one add-on."""
    key = store.digest(components.module_folder("addons", name), TRAEFIK_EXT, repr(ADDONS[name]))
    return store.make("components", f"addon-{name}-{key}", build=lambda into: _build(name, into, progress), progress=progress)


def _build(name: str, into: Path, progress) -> None:
    sources = into / "sources"
    lay_out(name, sources, progress)
    for package, program in ADDONS[name].programs.items():
        components.build(sources, [package], str(into / program), program, progress)
    store.remove(sources)


def lay_out(name: str, into: Path, progress) -> None:
    """The module that is built, with the modules that are taken without some of their packages."""
    shutil.copytree(components.module_folder("addons", name), into, dirs_exist_ok=True)
    shutil.copytree(TRAEFIK_EXT, into / TRAEFIK_EXT.name, dirs_exist_ok=True)
    for one in ADDONS[name].without:
        folder = into / one.folder
        shutil.copytree(source(one.module, one.version, progress), folder, copy_function=shutil.copyfile)
        shell.run(["chmod", "-R", "u+w", folder])
        for package, text in one.packages.items():
            store.remove(folder / package)
            (folder / package).mkdir()
            (folder / package / "left_out.go").write_text(text)


def source(module: str, version: str, progress) -> Path:
    """The folder of a module in Go's module cache."""
    said = golang.run("mod", "download", "-json", f"{module}@{version}", cwd=Path("/"), progress=progress)
    return Path(json.loads(said)["Dir"])


# What stands before an image's name in the lab, as a registry of one's own would.
REGISTRY = "lab.local/addons"
BUSYBOX_NAMES = "cat chmod cp echo ls mkdir mv rm sh sleep true".split()


def images(name: str, progress) -> list[Path]:
    """The archives of an add-on's images, which hold its programs where its manifest expects them."""
    programs = make(name, progress)
    recipe = [Path(oci.__file__).read_bytes(), Path(lab_images.__file__).read_bytes(), Path(__file__).read_bytes()]

    def build(into: Path) -> None:
        for image in _describe(name, programs, rootfs.base(progress)):
            oci.write(image, into / (image.reference.replace("/", "_").replace(":", "_") + ".tar"))

    folder = store.make("images", f"addon-{name}-{store.digest(programs.name, rootfs.base_key(), *recipe)}", build=build, progress=progress)
    return sorted(folder.glob("*.tar"))


def _describe(name: str, programs: Path, base: Path) -> list[oci.Image]:
    version = ADDONS[name].version
    busybox = {"/bin/busybox": base / "usr/bin/busybox"}
    applets = {f"/bin/{applet}": "busybox" for applet in BUSYBOX_NAMES}

    def image(reference: str, files: dict[str, Path], **more) -> oci.Image:
        return oci.Image(f"{REGISTRY}/{reference}", files, **more)

    if name == "flannel":
        # It makes its rules with the programs that kube-proxy has, which is left out here.
        tables = lab_images._kube_proxy("", programs, base)
        files = {path: file for path, file in tables.files.items() if file.parent != programs}
        files |= {f"/opt/bin/{program}": programs / program for program in ("flanneld", "install-conf")}
        return [image(f"flannel-io/flannel:{version}", files, links=tables.links)]
    if name == "flannel-cni":
        return [image("flannel-io/flannel-cni-plugin:lab", {"/flannel": programs / "flannel"} | busybox, links=applets)]
    if name == "metallb":
        return [image(f"metallb/{one}:{version}", {f"/{one}": programs / one}, entrypoint=[f"/{one}"]) for one in ("controller", "speaker")]
    if name == "local-path":
        program = {"/usr/bin/local-path-provisioner": programs / "local-path-provisioner"}
        return [image(f"rancher/local-path-provisioner:{version}", program), image("library/busybox:latest", busybox, links=applets)]
    return [image(f"{name}/{name}:{version}", {f"/{name}": programs / name}, entrypoint=[f"/{name}"])]


def manifest(addon: str, name: str, progress) -> list[Path]:
    """The files of a manifest in Go's module cache, in their order."""
    row = ADDONS[addon]
    path = source(row.module, row.version, progress) / row.manifests[name]
    return sorted(each for each in path.iterdir() if each.name != "kustomization.yaml") if path.is_dir() else [path]
