"""Machines with neither runtime, kubelet, images nor a way to any become a cluster from one bundle, by the collection's roles, and are bare again."""

import pytest

from operating import Operator, counting, give_package
from test_bundle import BROUGHT, BUNDLE, KEY, PARTS, has, lay_out, make_bare, pack
from test_play import addresses, content, succeeded, take_away_what_the_lab_made
from test_reset import HOSTS, is_as_before

pytestmark = [pytest.mark.lab, pytest.mark.long]

NAMES = ("n1", "w1")
KUBESTRAP, OWN_IMAGE, BROUGHT_BUNDLE = "/usr/bin/kubestrap", "/usr/lib/kubestrap/kubestrap-image.tar", "/var/lib/kubestrap/cluster.bundle"


@pytest.fixture(scope="module")
def bare(ansible, lab, tmp_path_factory):
    """The bundle is where Ansible runs, and has kubestrap and its image as well."""
    lab.call("down")  # the machines of other scenarios
    n1, w1 = machines = [lab.machine(name, images=False) for name in NAMES]
    desk = tmp_path_factory.mktemp("desk")
    lay_out(n1)
    n1.sh(f"cp {KUBESTRAP} {PARTS}/bin && cp {OWN_IMAGE} {PARTS}/images")
    pack(n1)
    Operator(lab, desk).fetch(n1, BUNDLE, "lab.bundle")
    w1.take(f"{KEY}.pub", n1)
    for machine in machines:
        give_package(machine, "zstd")  # with which kubestrap is taken out of it
        make_bare(machine)
    ansible.inventory(lab, ["n1"], ["w1"], kubestrap_bundle_source=str(desk / "lab.bundle"), kubestrap_offline=True,
                      kubestrap_binary=None, kubestrap_image=None, kubestrap_node_packages=None)
    return machines


@pytest.fixture(scope="module")
def switch(lab, bare):
    """The switch, and what it has counted before the machines had no way out."""
    made = counting(lab, bare[0])
    for machine in bare:
        machine.run("ip", "route", "del", "default")
    return made


def test_beforehand_it_is_told_that_all_would_be_brought_and_nothing_is(ansible, lab, bare, switch):
    before = [content(machine) for machine in bare]
    looked = ansible.play(lab, "site", "--check", "--diff")
    assert looked.code == 0 and all(looked.changed.values()), str(looked)
    for task in ("Put what the bundle has in its places", "Make the cluster"):
        assert "is not on this machine yet" in looked.of(task)["n1"]["msg"], str(looked)
    for machine, was in zip(bare, before):
        assert not has(machine, KUBESTRAP, *BROUGHT) and content(machine) == was


def test_machines_with_nothing_become_a_cluster_from_one_bundle(ansible, lab, bare, switch):
    n1 = bare[0]
    made = ansible.play(lab, "site")
    assert made.code == 0 and all(made.changed.values()), str(made)
    loaded = made.of("Put what the bundle has in its places")
    for machine in bare:
        assert has(machine, KUBESTRAP, OWN_IMAGE, BROUGHT_BUNDLE, *BROUGHT) == {KUBESTRAP, BROUGHT_BUNDLE, *BROUGHT}
        subjects = {each["subject"] for each in loaded[machine.name]["changes"]}
        assert {"file /usr/bin/kubelet", "file /usr/bin/containerd"} <= subjects and not any(each.endswith(f" {KUBESTRAP}") for each in subjects), subjects
    lab.install_pod_network(n1)
    n1.wait_ready()
    assert addresses(n1) == {machine.name: [machine.address] for machine in bare}
    n1.start_pod("on-w1", "w1")


def test_a_second_play_changes_nothing_and_nothing_has_gone_outside(ansible, lab, bare, switch):
    succeeded(ansible.play(lab, "site"), n1=0, w1=0)
    succeeded(ansible.play(lab, "site", "--check", "--diff"), n1=0, w1=0)
    counter, counted = switch
    assert counter.packets() == counted


def test_what_the_bundle_has_brought_goes_with_the_cluster(ansible, lab, bare, switch):
    take_away_what_the_lab_made(*bare)
    succeeded(ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true"), n1=1, w1=1)
    for machine in bare:
        assert has(machine, KUBESTRAP, *BROUGHT) == {KUBESTRAP}
        is_as_before(machine, but=HOSTS)
    succeeded(ansible.play(lab, "reset", "-e", "kubestrap_end_cluster=true"), n1=0, w1=0)
