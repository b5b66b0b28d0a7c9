"""The collection without a machine: its published form, its documentation, and which address of a machine it takes."""

import importlib.util
import json
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (ROOT / "ansible/plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (ROOT / "ansible/roles").iterdir())


def test_the_linter_has_nothing_to_say_of_the_published_form(ansible):
    shutil.copy(ROOT / "ansible/.ansible-lint", ansible.collection)
    ansible.must("ansible-lint", "--offline", "--config-file", ".ansible-lint", cwd=ansible.collection)


def test_the_published_form_holds_what_it_needs_and_nothing_else(ansible):
    with tarfile.open(ansible.archive) as archive:
        names = {name.split("/")[0] for name in archive.getnames()}
    assert names == {"CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "meta", "playbooks", "plugins", "roles"}


def test_every_module_tells_what_it_takes_and_returns(ansible):
    documents = json.loads(ansible.must("ansible-doc", "--json", *(f"kubestrap.kubestrap.{name}" for name in MODULES)))
    assert len(documents) == len(MODULES) > 0
    for name, each in documents.items():
        assert each["doc"]["attributes"]["check_mode"]["support"] == "full", name
        assert each["examples"] and each["return"], name


def test_no_module_has_a_secret_among_its_program_arguments():
    for name in MODULES:
        text = (ROOT / f"ansible/plugins/modules/{name}.py").read_text()
        for flag in ("--token", "--certificate-key", "--discovery-token"):
            assert f'"{flag}"' not in text, name


def test_every_default_of_a_role_is_documented_as_it_is(ansible):
    import yaml

    for role in ROLES:
        folder = ROOT / "ansible/roles" / role
        defaults = yaml.safe_load((folder / "defaults/main.yml").read_text())
        options = yaml.safe_load((folder / "meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
        assert set(defaults) == set(options), role
        for name, value in defaults.items():
            if "{{" not in str(value):
                assert options[name]["default"] == value, f"{role}: {name}"


def test_the_kubelets_service_is_left_to_kubestrap_which_puts_it_back():
    """What a role has enabled before looks to `reset` as if it had always been: of a kubelet from a bundle its link would stay."""
    import yaml

    tasks = [task for path in sorted((ROOT / "ansible/roles").glob("*/tasks/*.yml")) for task in yaml.safe_load(path.read_text())]
    services = [task["ansible.builtin.service"]["name"] for task in tasks if "ansible.builtin.service" in task]
    assert services == ["{{ kubestrap_runtime_service }}"]


def test_playbooks_can_be_read(ansible):
    (ansible.folder / "two.json").write_text(json.dumps({"kubestrap_control_planes": {"hosts": {"n1": {}}}, "kubestrap_workers": {"hosts": {"w1": {}}}}))
    for playbook in ("site", "upgrade", "reset"):
        said = ansible.must("ansible-playbook", "-i", ansible.folder / "two.json", "--syntax-check", f"kubestrap.kubestrap.{playbook}")
        assert "playbook:" in said


# ---- addresses


def facts(default: str | None = None, **interfaces: str) -> dict:
    """Facts of a machine with these interfaces; the one named has the default route."""
    made = {name: {"ipv4": {"address": address}} for name, address in interfaces.items()}
    return made | {"interfaces": list(interfaces), "default_ipv4": {"interface": default} if default else {}}


@pytest.fixture(scope="session")
def choose(ansible):
    sys.path.append(str(ansible.tools))
    try:
        spec = importlib.util.spec_from_file_location("node_address", ROOT / "ansible/plugins/filter/node_address.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ansible.tools))
    return module.node_address


def test_the_only_address_is_taken(choose):
    assert choose(facts("eth0", eth0="192.0.2.11"), [facts("eth0", eth0="192.0.2.12")]) == "192.0.2.11"


def test_an_address_that_every_machine_has_is_not_taken_though_the_default_route_has_it(choose):
    one, other = (facts("eth0", eth0="172.16.0.5", eth1=f"192.0.2.{n}") for n in (11, 12))
    assert choose(one, [other]) == "192.0.2.11"


def test_that_of_a_well_known_nat_is_not_taken_by_a_machine_alone(choose):
    assert choose(facts("eth0", eth0="10.0.2.15", eth1="192.0.2.11"), []) == "192.0.2.11"


def test_that_which_is_connected_to_goes_before_that_of_the_default_route(choose):
    own = facts("eth0", eth0="198.51.100.1", eth1="192.0.2.11")
    assert choose(own, []) == "198.51.100.1"
    assert choose(own, [], connection="192.0.2.11") == "192.0.2.11"
    assert choose(own, [], connection="127.0.0.1") == "198.51.100.1"


def test_a_network_that_is_given_decides(choose):
    own = facts("eth0", eth0="198.51.100.1", eth1="192.0.2.11")
    assert choose(own, [], network="192.0.2.0/24", connection="198.51.100.1") == "192.0.2.11"


def test_addresses_of_pod_networks_are_nobodys(choose):
    assert choose(facts(cni0="10.244.0.1", docker0="172.17.0.1", eth1="192.0.2.11", lo="127.0.0.1"), []) == "192.0.2.11"


def test_where_none_is_left_it_says_which_there_are(choose):
    own, other = facts("eth0", eth0="172.16.0.5"), facts("eth0", eth0="172.16.0.5")
    with pytest.raises(Exception, match=r"172\.16\.0\.5 \(another machine has it, too\).*kubestrap_node_address"):
        choose(own, [other])


def test_an_interface_with_a_dash_in_its_name_is_seen(choose):
    own = {"interfaces": ["enp0-s8"], "enp0_s8": {"ipv4": {"address": "192.0.2.11"}}, "default_ipv4": {}}
    assert choose(own, []) == "192.0.2.11"
