"""The table of versions, and the module files that pin them."""

import re

import pytest
from kubelab import components, images, paths, versions


@pytest.mark.parametrize("text", ["1.37.2", "v1.37.2", "1.37"])
def test_a_version_is_found_by_number_tag_or_minor(text):
    assert versions.kubernetes(text).version == "1.37.2"


@pytest.mark.parametrize("text", ["1.37.1", "1.3", "", "latest"])
def test_an_unknown_version_names_those_that_there_are(text):
    with pytest.raises(ValueError, match="1.37.2, 1.36.3"):
        versions.kubernetes(text)


@pytest.mark.parametrize("row", versions.KUBERNETES.values(), ids=lambda row: row.version)
def test_the_module_files_pin_what_the_table_says(row):
    kubernetes = (components.module_folder(row.version, "kubernetes") / "go.mod").read_text()
    extras = (components.module_folder(row.version, "extras") / "go.mod").read_text()
    assert f"k8s.io/kubernetes v{row.version}" in kubernetes
    assert f"go.etcd.io/etcd/server/v3 {row.etcd}\n" in extras
    assert f"github.com/coredns/coredns {row.coredns}\n" in extras
    assert "./staging" not in kubernetes + extras
    for part in ("kubernetes", "extras"):
        assert (components.module_folder(row.version, part) / "go.sum").stat().st_size > 1000


def test_the_tools_module_pins_cfssl():
    assert f"github.com/cloudflare/cfssl {versions.CFSSL}" in (components.module_folder("tools") / "go.mod").read_text()


@pytest.mark.parametrize("row", versions.KUBERNETES.values(), ids=lambda row: row.version)
def test_the_etcd_image_is_of_the_etcd_that_is_built(row):
    assert row.etcd_image.startswith(row.etcd.removeprefix("v") + "-")


def test_image_names_are_those_kubeadm_asks_for():
    assert list(images.names("1.36").values())[:7] == [
        "registry.k8s.io/kube-apiserver:v1.36.3",
        "registry.k8s.io/kube-controller-manager:v1.36.3",
        "registry.k8s.io/kube-scheduler:v1.36.3",
        "registry.k8s.io/kube-proxy:v1.36.3",
        "registry.k8s.io/etcd:3.6.8-0",
        "registry.k8s.io/coredns/coredns:v1.14.2",
        "registry.k8s.io/pause:3.10.2",
    ]


def test_containerd_pins_the_pause_image_of_the_table():
    settings = (paths.SOURCES / "rootfs/etc/containerd/config.toml").read_text()
    pauses = {row.pause for row in versions.KUBERNETES.values()}
    assert set(re.findall(r"registry\.k8s\.io/pause:([\d.]+)", settings)) == pauses


def test_the_stamp_says_the_version_in_both_places_that_are_read():
    stamp = components.stamp(versions.kubernetes("1.37.2"))
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        assert f"-X {package}.gitVersion=v1.37.2" in stamp
        assert f"-X {package}.gitMinor=37" in stamp
