"""The Vagrantfile, read by Ruby with a stub in Vagrant's place; and by Vagrant itself where it is installed."""

import ipaddress
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from kubelab import packages, progress

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(__file__).parent / "vagrant/stub.rb"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the folder, beside a collection, whose settings a test may write."""
    if not shutil.which("ruby"):
        packages.install(["ruby"], progress.Progress())
    (tmp_path / "ansible").symlink_to(ROOT / "ansible")
    return Path(shutil.copytree(ROOT / "vagrant", tmp_path / "vagrant", ignore=shutil.ignore_patterns(".vagrant", "settings.yml")))


def read(folder: Path, **settings) -> subprocess.CompletedProcess:
    if settings:
        (folder / "settings.yml").write_text(yaml.safe_dump(settings))
    return subprocess.run(["ruby", "-w", STUB, folder / "Vagrantfile"], capture_output=True, text=True)


def told(folder: Path, **settings) -> dict:
    done = read(folder, **settings)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def provisioner(config: dict) -> dict:
    *others, last = config["machines"].values()
    assert all(machine["provisioners"] == {} for machine in others)
    return last["provisioners"]["ansible"]


def test_every_machine_has_a_second_interface_and_its_address_is_the_nodes(folder):
    config = told(folder, control_planes=3, workers=2)
    assert list(config["machines"]) == ["n1", "n2", "n3", "w1", "w2"]
    asked = provisioner(config)
    addresses = []
    for name, machine in config["machines"].items():
        (network,) = machine["networks"]
        assert network["kind"] == "private_network" and machine["hostname"] == name
        assert asked["host_vars"][name] == {"kubestrap_node_address": network["ip"]}
        addresses.append(network["ip"])
    assert len(set(addresses)) == 5
    for address in addresses:
        assert ipaddress.ip_address(address) in ipaddress.ip_network("192.168.56.0/24")
        assert ipaddress.ip_address(address) not in ipaddress.ip_network("10.0.2.0/24")


def test_control_planes_and_workers_are_the_groups_that_the_playbooks_know(folder):
    asked = provisioner(told(folder, control_planes=3, workers=2))
    assert asked["groups"] == {"kubestrap_control_planes": ["n1", "n2", "n3"], "kubestrap_workers": ["w1", "w2"]}
    assert asked["limit"] == "all"
    hosts = {play["hosts"] for play in yaml.safe_load((ROOT / "ansible/playbooks/site.yml").read_text())}
    for group in asked["groups"]:
        assert any(group in host for host in hosts)


def test_every_variable_is_one_of_the_roles(folder):
    known = set()
    for file in (ROOT / "ansible/roles").glob("*/meta/argument_specs.yml"):
        known |= set(yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"])
    asked = provisioner(told(folder))
    assert set(asked["extra_vars"]) | set(asked["host_vars"]["n1"]) <= known


def test_both_providers_give_what_a_control_plane_needs(folder):
    providers = told(folder)["providers"]
    assert set(providers) == {"virtualbox", "libvirt"}
    for options in providers.values():
        assert options["cpus"] >= 2 and options["memory"] >= 1700


def test_settings_are_taken(folder):
    config = told(folder, workers=0, network="10.20.30", kubernetes="v1.36.3", ansible={"kubestrap_runtime": "cri-o"})
    assert list(config["machines"]) == ["n1"]
    assert config["machines"]["n1"]["networks"][0]["ip"] == "10.20.30.11"
    variables = provisioner(config)["extra_vars"]
    assert variables["kubestrap_kubernetes_version"] == "v1.36.3" and "/v1.36/" in variables["kubestrap_kubernetes_repository"]
    assert variables["kubestrap_runtime"] == "cri-o"


def test_the_pod_network_of_the_readme_is_one_that_the_roles_are_told_of(folder):
    (settings,) = [text for text in (folder / "README.md").read_text().split("```") if "addons:" in text]
    variables = provisioner(told(folder, **yaml.safe_load(settings.removeprefix("yaml"))))["extra_vars"]
    (addon,) = variables["kubestrap_configuration"]["addons"]
    assert addon["name"] == "flannel" and addon["source"].startswith("/") and addon["values"] == {"interfaces": ["eth1"]}


@pytest.mark.parametrize("settings, says", [({"worker": 2}, "no setting worker"), ({"control_planes": 0}, "control_planes is 0"), ({"workers": 50}, "workers is 50")])
def test_mistaken_settings_are_told(folder, settings, says):
    done = read(folder, **settings)
    assert done.returncode != 0 and says in done.stderr


def test_the_collection_gets_where_the_playbook_finds_it(folder, ansible):
    asked = provisioner(told(folder))
    words = asked["galaxy_command"].replace("%{role_file}", asked["galaxy_role_file"]).replace("%{roles_path}", asked["galaxy_roles_path"]).split()
    own = {"cwd": folder, "env": {key: value for key, value in ansible.environment.items() if key != "ANSIBLE_COLLECTIONS_PATH"}}
    ansible.must(*words, "--offline", **own)
    (folder / "hosts.json").write_text(json.dumps({group: {"hosts": dict.fromkeys(names, {})} for group, names in asked["groups"].items()}))
    said = ansible.must("ansible-playbook", "-i", "hosts.json", "--list-tasks", asked["playbook"], **own)
    assert "Begin the cluster" in said and "kubestrap.kubestrap.init : Make the cluster" in said


@pytest.mark.skipif(not shutil.which("vagrant"), reason="there is no vagrant here")
def test_vagrant_takes_it(folder):
    done = subprocess.run(["vagrant", "validate", "--ignore-provider"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
