"""The inventory plugin: what a cluster.yaml gives Ansible, by the kubestrap that was built last, without a machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from play import newest_build
from pretender import Pretender

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs/examples/cluster.yaml"
ONE = "apiVersion: kubestrap.io/v1alpha1\nkind: Cluster\nhosts:\n- name: n1\n  address: 192.0.2.11\n  role: control-plane\n"
SELF = "---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nhosting: self\n"


@pytest.fixture(scope="session", autouse=True)
def program() -> Path:
    built = newest_build()
    if not built:
        pytest.fail("there is no kubestrap; run ./build.sh dev")
    return built


def inventory(ansible, *files, **more) -> dict:
    words = [word for file in files for word in ("-i", file)]
    return json.loads(ansible.must("ansible-inventory", *words, "--list", **more))


def test_the_example_of_the_documentation(ansible):
    told = inventory(ansible, EXAMPLE)
    assert told["kubestrap_control_planes"]["hosts"] == ["n1", "n2", "n3"]
    assert told["kubestrap_workers"]["hosts"] == ["w1", "w2"]
    assert set(told["kubestrap_cluster"]["children"]) == {"kubestrap_control_planes", "kubestrap_workers"}
    common = {"ansible_user": "root", "ansible_ssh_private_key_file": f"{ansible.folder}/.ssh/id_ed25519", "kubestrap_cluster_name": "hall-1", "kubestrap_kubernetes_version": "v1.37.2",
              "kubestrap_cluster_configuration": {"networking": {"podSubnet": "10.244.0.0/16"}}, "kubestrap_configuration": {"endpoint": {"mode": "local"}}}
    hosts = told["_meta"]["hostvars"]
    assert hosts["w1"] == common | {"ansible_host": "192.0.2.51", "kubestrap_node_name": "w1", "kubestrap_node_address": "192.0.2.51", "kubestrap_node_labels": {"disk": "ssd"}}
    assert hosts["w2"] == common | {"ansible_host": "w2.example.org", "ansible_user": "admin", "ansible_port": 2222, "kubestrap_node_name": "w2",
                                    "kubestrap_node_address": "192.0.2.52", "kubestrap_node_labels": {}}
    said = ansible.must("ansible-inventory", "-i", EXAMPLE, "--graph")
    assert said.splitlines() == ["@all:", "  |--@ungrouped:", "  |--@kubestrap_cluster:", "  |  |--@kubestrap_control_planes:", "  |  |  |--n1", "  |  |  |--n2", "  |  |  |--n3",
                                 "  |  |--@kubestrap_workers:", "  |  |  |--w1", "  |  |  |--w2"]


def test_paths_are_from_the_file_and_what_is_beside_it_can_say_otherwise(ansible, tmp_path):
    (tmp_path / "kubestrap-image.tar").touch()
    (tmp_path / "hall-1.cluster.yml").write_text(ONE.replace("hosts:", "binary: kubestrap\nssh: {configFile: my ssh.config, identityFile: key, port: 0, user: ''}\nhosts:"))
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/kubestrap_cluster.yml").write_text("ansible_user: admin\nkubestrap_image: ''\n")
    told = inventory(ansible, tmp_path / "hall-1.cluster.yml")["_meta"]["hostvars"]["n1"]
    assert {name: value for name, value in told.items() if name.startswith("ansible_") or name in ("kubestrap_binary", "kubestrap_image")} == {
        "ansible_host": "192.0.2.11", "ansible_user": "admin", "ansible_ssh_private_key_file": f"{tmp_path}/key",
        "ansible_ssh_common_args": f"-F '{tmp_path}/my ssh.config'", "kubestrap_binary": f"{tmp_path}/kubestrap", "kubestrap_image": ""}
    (tmp_path / "group_vars/kubestrap_cluster.yml").unlink()
    assert inventory(ansible, tmp_path / "hall-1.cluster.yml")["_meta"]["hostvars"]["n1"]["kubestrap_image"] == f"{tmp_path}/kubestrap-image.tar"


def test_groups_by_label_are_the_constructed_plugins(ansible, tmp_path):
    (tmp_path / "labels.yml").write_text("plugin: constructed\nkeyed_groups:\n- {key: kubestrap_node_labels, prefix: label}\n")
    assert inventory(ansible, EXAMPLE, tmp_path / "labels.yml")["label_disk_ssd"]["hosts"] == ["w1"]


def test_a_file_that_is_wrong_ends_ansible_in_the_programs_words_though_its_own_yaml_would_take_it(ansible, program, tmp_path):
    file = tmp_path / "cluster.yaml"
    file.write_text(ONE + "  color: red\n- {name: n1, address: 10.0.0.300, role: worker}\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ResetConfiguration\n")
    words = subprocess.run([program, "cluster", "inventory", "-f", file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stderr
    assert f"{file}:7:3: hosts[0].color: unknown field" in words and "4 problems" in words
    said = ansible.run("ansible-playbook", "-i", file, "kubestrap.kubestrap.site")
    assert said.returncode == 4 and words.strip() in said.stdout and "PLAY" not in said.stdout, said.stdout


@pytest.mark.parametrize("there, what", [("/nowhere/kubestrap", "there is no program /nowhere/kubestrap where Ansible runs: put it on the PATH, or say where it is by KUBESTRAP_PROGRAM"),
                                         ("true", "true cannot tell what is in it")])
def test_without_kubestrap_it_says_what_to_do_and_ends(ansible, there, what):
    said = ansible.run("ansible-inventory", "-i", EXAMPLE, "--graph", env=ansible.environment | {"KUBESTRAP_PROGRAM": there})
    assert said.returncode == 4 and what in said.stdout, said.stdout


def test_ansible_cfg_can_say_which_kubestrap(ansible, program, tmp_path):
    (tmp_path / "ansible.cfg").write_text(f"[inventory]\nenable_plugins = kubestrap.kubestrap.cluster\n[kubestrap]\nprogram = {program}\n")
    environment = {name: value for name, value in ansible.environment.items() if name != "KUBESTRAP_PROGRAM"}
    assert "|--n1" in ansible.must("ansible-inventory", "-i", EXAMPLE, "--graph", cwd=tmp_path, env=environment)


def test_two_clusters_do_not_become_one(ansible, tmp_path):
    (tmp_path / "cluster.yaml").write_text(ONE)
    said = ansible.run("ansible-inventory", "-i", EXAMPLE, "-i", tmp_path / "cluster.yaml", "--graph")
    assert said.returncode == 4 and "two clusters would become one" in said.stdout, said.stdout


def test_what_the_program_warns_of_is_told(ansible, tmp_path):
    (tmp_path / "cluster.yaml").write_text(ONE + "- {name: n2, address: 192.0.2.12, role: control-plane}\n")
    said = ansible.must("ansible-inventory", "-i", tmp_path / "cluster.yaml", "--graph")
    assert "etcd stops when 1 of them is lost" in " ".join(said.split())


def test_a_bundle_is_brought_from_where_the_file_says_and_offline_holds_for_all(ansible, tmp_path):
    (tmp_path / "cluster.yaml").write_text(ONE + "bundle: x.bundle\noffline: true\n")
    told = inventory(ansible, tmp_path / "cluster.yaml")["_meta"]["hostvars"]["n1"]
    assert told["kubestrap_bundle_source"] == f"{tmp_path}/x.bundle" and told["kubestrap_offline"] is True


def test_a_file_whose_control_plane_shall_run_in_its_own_cluster_says_so_to_the_roles(ansible, tmp_path):
    (tmp_path / "cluster.yaml").write_text(ONE + SELF)
    told = inventory(ansible, tmp_path / "cluster.yaml")["_meta"]["hostvars"]["n1"]
    assert told["kubestrap_self_hosted"] is True and "kubestrap_configuration" not in told


def test_a_file_of_that_name_that_is_no_clusters_is_left_to_others(ansible, tmp_path):
    (tmp_path / "cluster.yaml").write_text("all: {hosts: {a: {}}}\n")
    assert inventory(ansible, tmp_path / "cluster.yaml")["ungrouped"]["hosts"] == ["a"]


def test_the_plugin_tells_what_it_does(ansible):
    document = json.loads(ansible.must("ansible-doc", "--json", "--type", "inventory", "kubestrap.kubestrap.cluster"))["kubestrap.kubestrap.cluster"]
    assert document["doc"]["description"] and document["examples"]


# ---- the roles make of the file what kubestrap cluster makes of it

FILE = """\
apiVersion: kubestrap.io/v1alpha1
kind: Cluster
hosts:
- {name: n1, address: 192.0.2.11, role: control-plane}
- {name: n2, address: 192.0.2.12, role: control-plane, taints: []}
- {name: n3, address: 192.0.2.13, role: control-plane}
- name: w1
  address: 192.0.2.51
  role: worker
  labels: {disk: ssd, node-role.kubernetes.io/worker: ''}
  taints: [{key: dedicated, value: db, effect: NoSchedule}]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {bindPort: 7443}
nodeRegistration:
  name: nobody
  criSocket: unix:///run/x.sock
  taints: [{key: a, effect: NoExecute}]
  kubeletExtraArgs: [{name: v, value: '2'}]
  ignorePreflightErrors: [Swap, NumCPU]
timeouts: {kubernetesAPICall: 2m0s}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
networking: {podSubnet: 10.8.0.0/16, serviceSubnet: 10.9.0.0/16}
apiServer: {certSANs: [api.example.org]}
---
apiVersion: kubestrap.io/v1alpha1
kind: KubestrapConfiguration
layout: plain
endpoint: {mode: local}
security: {audit: {maxSize: 5Mi}}
---
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Metadata}]
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
providerID: "{{ inventory_hostname }}"
maxPods: 64
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
"""

ANSWERS = {
    "token list": {"items": []},
    "token create": {"token": "abcdef.0123456789abcdef", "apiServerEndpoint": "192.0.2.11:7443", "caCertHashes": ["sha256:00"]},
    "node label": {"changed": True},
}


def played(ansible, folder: Path, file: str, **variables) -> list:
    """What the roles tell kubestrap, on machines that are all this one."""
    (folder / "cluster.yaml").write_text(file)
    pretender = Pretender(folder)
    pretender.answer(ANSWERS)
    own = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "kubestrap_program": str(pretender.path)}
    plays = [{"gather_facts": False, "vars": own | variables, "hosts": hosts, "roles": [f"kubestrap.kubestrap.{role}"]}
             for hosts, role in (("kubestrap_control_planes[0]", "init"), ("kubestrap_control_planes[1:]", "join"), ("kubestrap_workers", "join"))]
    (folder / "play.json").write_text(json.dumps(plays))
    ansible.must("ansible-playbook", "-i", folder / "cluster.yaml", folder / "play.json")
    return pretender.told


@pytest.fixture(scope="module")
def told(ansible, tmp_path_factory) -> list:
    return played(ansible, tmp_path_factory.mktemp("told"), FILE)


def documents_for(told, host: str) -> tuple[list[str], dict]:
    """The words of init or join for that machine, and its documents by kind."""
    for words, documents in told:
        kinds = {each["kind"]: each for each in documents if "kind" in each}
        own = kinds.get("InitConfiguration" if words[0] == "init" else "JoinConfiguration", {})
        if own.get("nodeRegistration", {}).get("name") == host:
            return words, kinds
    raise AssertionError(f"nothing was done for {host}: {told}")


def comparable(documents: dict) -> dict:
    """Without what is a machine's way into the cluster, and flags in any order."""
    for each in documents.values():
        each.pop("discovery", None)
        each.get("controlPlane", {}).pop("certificateKey", None)
        registration = each.get("nodeRegistration", {})
        registration.pop("ignorePreflightErrors", None)
        if "kubeletExtraArgs" in registration:
            registration["kubeletExtraArgs"].sort(key=lambda flag: flag["name"])
    return documents


def test_init_and_join_are_told_what_the_file_says(told):
    words, first = documents_for(told, "n1")
    assert words[words.index("--ignore-preflight-errors") + 1] == "Swap,NumCPU"
    assert first["ClusterConfiguration"]["kubernetesVersion"] == "v1.36.3"
    assert first["KubeletConfiguration"]["providerID"] == "{{ inventory_hostname }}"
    assert first["InitConfiguration"]["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.11", "bindPort": 7443}
    second, worker = (documents_for(told, name)[1]["JoinConfiguration"] for name in ("n2", "w1"))
    assert second["controlPlane"]["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.12", "bindPort": 7443} and second["nodeRegistration"]["taints"] == []
    assert "controlPlane" not in worker and worker["nodeRegistration"]["taints"] == [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]
    assert worker["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "192.0.2.51"}, {"name": "v", "value": "2"}]


def test_an_audit_policy_out_of_a_file_goes_with_the_documents(ansible, tmp_path):
    (tmp_path / "policy.yaml").write_text("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n")
    own = f"---\napiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nsecurity: {{audit: {{policyFile: {tmp_path}/policy.yaml}}}}\n"
    assert documents_for(played(ansible, tmp_path, ONE + own), "n1")[1]["Policy"] == {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "None"}]}


def test_nodes_are_labelled(told):
    labelled = {words[2]: documents[0]["labels"] for words, documents in told if words[:2] == ["node", "label"]}
    assert labelled == {"n1": {}, "n2": {}, "n3": {}, "w1": {"disk": "ssd", "node-role.kubernetes.io/worker": ""}}


def test_the_program_makes_the_same_documents_of_it(program, told, tmp_path):
    (tmp_path / "cluster.yaml").write_text(FILE)
    for host in ("n1", "n2", "n3", "w1"):
        said = subprocess.run([program, "cluster", "cloud-init", host, "-f", "cluster.yaml"], cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True).stdout
        theirs = {each["kind"]: each for each in yaml.safe_load_all(yaml.safe_load(said)["write_files"][0]["content"])}
        assert comparable(documents_for(told, host)[1]) == comparable(theirs), host


def test_a_control_plane_in_its_own_cluster_is_asked_for_by_a_flag_and_gets_its_layout(ansible, tmp_path):
    words, documents = documents_for(played(ansible, tmp_path, ONE + SELF), "n1")
    assert "--self-hosted" in words
    assert documents["KubestrapConfiguration"]["layout"] == "hosted" and "hosting" not in documents["KubestrapConfiguration"]


def test_without_it_nothing_is_said_of_it(told):
    words, documents = documents_for(told, "n1")
    assert "--self-hosted" not in words and documents["KubestrapConfiguration"]["layout"] == "plain"


def test_a_bundle_goes_before_init_and_join_and_nothing_is_fetched(ansible, tmp_path):
    file = ONE + "- {name: w1, address: 192.0.2.51, role: worker}\noffline: true\n"
    told = played(ansible, tmp_path, file, kubestrap_bundle="/root/x.bundle", kubestrap_binary="/root/kubestrap")
    for host in ("n1", "w1"):
        words, _ = documents_for(told, host)
        assert words[1:6] == ["--offline", "--bundle", "/root/x.bundle", "--bundle-without", "kubestrap"], words
