"""`kubestrap init` from a bare machine to a Ready cluster, and what else works against that cluster."""

import json
import re

import pytest
from kubelab import versions
from test_join import CERTIFICATE_KEY, with_endpoint
from testbed import CONFIG, OLDER, VERSION

FOLDERS = ("/etc", "/var/lib/kubelet", "/var/lib/kubestrap", "/run/lock")
ADMIN = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf")
IGNORED = "--ignore-preflight-errors=SystemVerification"
OWN_OBJECTS = (
    "configmaps,secrets,roles,rolebindings,serviceaccounts,services,deployments,daemonsets",
    "clusterroles,clusterrolebindings",
)


def own_objects(machine) -> dict[str, str]:
    """Every object that kubestrap is a manager of -> its resource version, or generation where others write its status."""
    found = {}
    for kinds in OWN_OBJECTS:
        for item in machine.get(kinds, "-A", "--show-managed-fields=true")["items"]:
            meta = item["metadata"]
            if any(entry["manager"] == "kubestrap" for entry in meta.get("managedFields", ())):
                name = f"{item['kind']} {meta.get('namespace', '')}/{meta['name']}"
                found[name] = str(meta["generation"]) if "generation" in meta else meta["resourceVersion"]
    return found


def labels_of(text: str) -> list[str]:
    return re.findall(r"-----BEGIN ([A-Z ]+)-----", text)


# ---- before there is a cluster


@pytest.fixture(scope="module")
def n1(lab):
    return lab.machine("n1")


def everything(machine) -> dict[str, str]:
    """The whole file system, but for what its own daemons write."""
    daemons = ("/var/log", "/var/lib/containerd", "/var/lib/systemd", "/var/tmp")
    return machine.listing("/", "/var", "/run/lock", but=daemons)


def test_a_dry_run_on_a_bare_machine_touches_nothing(n1):
    n1.write(CONFIG, n1.config())
    before, digests = everything(n1), n1.digests(*FOLDERS)
    shown = n1.try_("kubestrap", "init", "--config", CONFIG, "--dry-run", "--exit-code")
    assert shown.code == 4, str(shown)
    for line in (
        "[certs/ca] will create certificate ca",
        "[control-plane/apiserver] will create file /etc/kubernetes/manifests/kube-apiserver.yaml",
        "[kubelet-start] will start service kubelet",
        "[addon/kube-proxy] will apply DaemonSet kube-system/kube-proxy",
    ):
        assert line in shown.out, line
    assert "PRIVATE KEY" not in shown.out
    assert everything(n1) == before
    assert n1.digests(*FOLDERS) == digests


def test_another_root_is_written_below_and_nowhere_else(n1):
    before, digests = n1.listing("/etc", "/var/lib", but=("/var/lib/containerd", "/var/lib/systemd")), n1.digests(*FOLDERS)
    n1.sh("mkdir -p /srv/root/root; cp $1 /srv/root/root/", CONFIG)
    for phase in ("certs", "kubeconfig", "control-plane"):
        n1.run("kubestrap", "init", "phase", phase, "all", "--config", CONFIG, "--rootfs", "/srv/root")
    below = n1.listing("/srv/root")
    for path in ("etc/kubernetes/pki/ca.key", "etc/kubernetes/admin.conf", "etc/kubernetes/manifests/kube-apiserver.yaml"):
        assert f"/srv/root/{path}" in below
    assert n1.listing("/etc", "/var/lib", but=("/var/lib/containerd", "/var/lib/systemd")) == before
    assert n1.digests(*FOLDERS) == digests
    assert "/srv/root" not in n1.read("/srv/root/etc/kubernetes/manifests/kube-apiserver.yaml")


def test_a_generated_token_needs_no_cluster(n1):
    tokens = {n1.run("kubestrap", "token", "generate").strip() for _ in range(2)}
    assert len(tokens) == 2
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in tokens)


# ---- one cluster, which the scenarios below look at


@pytest.fixture(scope="module")
def first_init(n1):
    """What the init of the cluster said, told to speak JSON."""
    n1.lab.reset(n1)
    result = n1.init("-o", "json")
    assert result.code == 0, str(result)
    n1.lab.install_pod_network(n1)
    return result


@pytest.fixture(scope="module")
def cluster(n1, first_init):
    n1.wait_ready()
    return n1


def test_init_makes_a_ready_node_of_a_bare_machine(cluster):
    (node,) = cluster.get("nodes")["items"]
    assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{VERSION}"
    assert "node-role.kubernetes.io/control-plane" in node["metadata"]["labels"]
    # That of a node which is not ready goes a moment after the node has become so.
    taints = lambda: [taint["key"] for taint in cluster.get("node", "n1")["spec"]["taints"]]  # noqa: E731
    cluster.until("it has the taint of control planes alone", lambda: taints() == ["node-role.kubernetes.io/control-plane"])
    until_all_run(cluster, VERSION)


def until_all_run(machine, version: str) -> None:
    """Until the components of that version are told of, and run. A kubelet tells of a static pod that it began without an API server up to a minute and a half later."""
    pods = lambda: machine.get("pods", "-n", "kube-system")["items"]  # noqa: E731
    images = lambda: {container["image"] for pod in pods() for container in pod["spec"]["containers"]}  # noqa: E731
    machine.until("all components are told of", lambda: images() == images_of(version))
    machine.until("all pods run", lambda: not [pod["metadata"]["name"] for pod in pods() if pod["status"]["phase"] != "Running"])


def images_of(version: str) -> set[str]:
    row = versions.kubernetes(version)
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
    return {f"registry.k8s.io/{name}:v{row.version}" for name in names} | {
        f"registry.k8s.io/etcd:{row.etcd_image}",
        f"registry.k8s.io/coredns/coredns:{row.coredns}",
    }


def test_its_json_is_all_that_is_on_standard_output(first_init):
    document = first_init.json
    assert (document["apiVersion"], document["kind"]) == ("output.kubestrap.io/v1alpha1", "InitResult")
    assert document["changed"] is True
    verbs = {(change["phase"], change["subject"]): change["verb"] for change in document["changes"]}
    assert verbs[("certs/ca", "certificate ca")] == "create"
    assert verbs[("addon/coredns", "Deployment kube-system/coredns")] == "create"
    assert re.search(r"join \S+:6443 --token \S+ .*sha256:[0-9a-f]{64}", document["joinCommand"]["worker"], re.DOTALL)
    for line in first_init.err.splitlines():
        json.loads(line)


def test_files_have_kubeadms_names_modes_and_forms(cluster):
    modes = {path: entry.split()[1] for path, entry in cluster.listing("/etc/kubernetes").items() if entry[0] == "f"}
    leaves = ("apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "ca", "front-proxy-ca", "front-proxy-client")
    etcd = ("etcd/ca", "etcd/healthcheck-client", "etcd/peer", "etcd/server")
    pairs = [f"/etc/kubernetes/pki/{name}" for name in leaves + etcd]
    confs = ("admin", "controller-manager", "kubelet", "scheduler", "super-admin")
    pods = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
    assert modes == (
        {f"{pair}.crt": "644" for pair in pairs}
        | {f"{pair}.key": "600" for pair in pairs}
        | {f"/etc/kubernetes/pki/sa.{form}": "600" for form in ("key", "pub")}
        | {f"/etc/kubernetes/{name}.conf": "600" for name in confs}
        | {f"/etc/kubernetes/manifests/{name}.yaml": "600" for name in pods}
    )
    text = cluster.sh('cd /etc/kubernetes/pki; for file in $(find . -type f); do echo "FILE $file"; cat $file; done')
    for part in text.split("FILE ")[1:]:
        name = part.split("\n", 1)[0]
        form = "CERTIFICATE" if name.endswith(".crt") else "PUBLIC KEY" if name.endswith(".pub") else "EC PRIVATE KEY"
        assert labels_of(part) == [form], name
    state = cluster.listing("/var/lib/kubestrap", "/var/lib/etcd")
    assert state["/var/lib/kubestrap"].startswith("d 700 ")
    assert state["/var/lib/kubestrap/journal"].startswith("f 600 ")
    assert state["/var/lib/etcd"].startswith("d 700 ")


def test_no_secret_is_in_the_journal(cluster):
    journal = cluster.read("/var/lib/kubestrap/journal")
    events = [json.loads(line)["event"] for line in journal.splitlines()]
    assert events[-1] == "end"
    secret = cluster.get("secrets", "-n", "kube-system", "--field-selector=type=bootstrap.kubernetes.io/token")["items"][0]
    assert secret["data"]["token-secret"] not in journal
    assert cluster.sh("base64 -d", input=secret["data"]["token-secret"]) not in journal
    assert "PRIVATE" not in journal


def test_a_second_init_changes_nothing(cluster):
    kubelet = ("systemctl", "show", "kubelet", "-p", "MainPID,NRestarts,ExecMainStartTimestampMonotonic")
    folders = ("/etc/kubernetes", "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/instance-config.yaml")
    before = cluster.listing(*folders), own_objects(cluster), cluster.run(*kubelet)
    assert {"ConfigMap kube-public/cluster-info", "DaemonSet kube-system/kube-proxy", "ClusterRoleBinding /kubeadm:node-proxier"} <= set(before[1])
    again = cluster.init("--exit-code", "-o", "json")
    assert again.code == 0, str(again)
    assert again.json["changed"] is False
    assert {change["verb"] for change in again.json["changes"]} == {"keep"}
    assert (cluster.listing(*folders), own_objects(cluster), cluster.run(*kubelet)) == before


def test_a_dry_run_on_a_running_cluster_finds_nothing_to_do(cluster):
    shown = cluster.try_("kubestrap", "init", "--config", CONFIG, "--dry-run", "--exit-code")
    assert shown.code == 0, str(shown)
    assert " will " not in shown.out
    assert "nothing to do" in shown.out


def test_what_was_changed_by_hand_is_told_and_mended(cluster):
    cluster.kubectl("-n", "kube-system", "delete", "rolebinding", "kubeadm:kubelet-config")
    cluster.sh("rm /etc/kubernetes/pki/apiserver-kubelet-client.crt /etc/kubernetes/pki/apiserver-kubelet-client.key")
    shown = cluster.try_("kubestrap", "init", "--config", CONFIG, "--dry-run", "--exit-code")
    assert shown.code == 4, str(shown)
    assert len(re.findall(" will ", shown.out)) == 2, shown.out
    mended = cluster.init("-o", "json")
    assert mended.code == 0, str(mended)
    changed = {change["subject"] for change in mended.json["changes"] if change["verb"] != "keep"}
    assert changed == {"certificate apiserver-kubelet-client", "RoleBinding kube-system/kubeadm:kubelet-config"}


def test_the_configuration_may_come_from_standard_input(cluster):
    again = cluster.try_("kubestrap", "init", "--config", "-", "--exit-code", input=cluster.config())
    assert again.code == 0, str(again)


@pytest.fixture(scope="module")
def pod(cluster):
    """A pod on the control plane node; its address."""
    return cluster.start_pod("first", cluster.name)


def test_a_pod_reaches_the_api_and_the_name_server(cluster, pod):
    assert cluster.in_pod("first", "testtool", "dns", "kubernetes.default.svc.cluster.local").split() == ["10.96.0.1"]
    cluster.until("the service leads to its pod", lambda: "pod=first" in cluster.in_pod("first", "testtool", "get", "http://first.default.svc.cluster.local/"))
    script = 'exec 3<>/dev/tcp/"$1"/443 && echo open'
    assert cluster.sh(script, "10.96.0.1") == "open\n"
    # an answer, if only that it does not trust whom it does not know: testtool has no API credentials
    refused = cluster.try_(*ADMIN, "kubectl", "exec", "first", "--", "testtool", "get", "https://kubernetes.default.svc/")
    assert "certificate" in refused.out + refused.err


def test_logs_and_exec_work_through_the_api_server(cluster, pod):
    assert "serving :8080" in cluster.kubectl("logs", "first")
    assert cluster.in_pod("first", "testtool", "dns", "localhost").split()[0] in ("127.0.0.1", "::1")


# ---- the real kubeadm judges


def test_kubeadm_knows_the_certificates(cluster):
    shown = cluster.try_("kubeadm", "certs", "check-expiration", "-o", "json")
    assert shown.code == 0, str(shown)
    document = shown.json
    assert len(document["certificates"]) == 11
    assert [one["name"] for one in document["certificateAuthorities"]] == ["ca", "etcd-ca", "front-proxy-ca"]
    for one in document["certificates"] + document["certificateAuthorities"]:
        assert not one.get("missing"), one
        assert one["residualTime"] > 0 and not one["externallyManaged"], one


def test_kubeadm_accepts_the_uploaded_configuration(cluster):
    uploaded = cluster.get("configmap", "kubeadm-config", "-n", "kube-system")["data"]["ClusterConfiguration"]
    cluster.write("/root/uploaded.yaml", uploaded)
    judged = cluster.try_("kubeadm", "config", "validate", "--config", "/root/uploaded.yaml")
    assert (judged.code, judged.out.strip()) == (0, "ok"), str(judged)
    assert "encryptionAlgorithm: ECDSA-P256" in uploaded
    images = cluster.run("kubeadm", "config", "images", "list", "--config", "/root/uploaded.yaml").split()
    assert images_of(VERSION) <= set(images)


def test_kubeadm_lists_the_same_tokens(cluster):
    def tokens(program):
        shown = cluster.run(*ADMIN, program, "token", "list", "-o", "json")
        if program == "kubestrap":
            return {item["token"]: item["expires"] for item in json.loads(shown)["items"]}
        items = json.loads("[" + re.sub(r"}\s*{", "},{", shown) + "]")
        return {item["token"]: item.get("expires") for item in items}

    assert tokens("kubestrap") == tokens("kubeadm")
    assert len(tokens("kubestrap")) == 1


def test_tokens_are_created_listed_and_deleted(cluster):
    token = cluster.run("kubestrap", "token", "create", "--ttl", "1h", "--description", "for a test").strip()
    (listed,) = [
        item for item in json.loads(cluster.run("kubestrap", "token", "list", "-o", "json"))["items"] if item["token"] == token
    ]
    assert listed["description"] == "for a test"
    assert listed["usages"] == ["authentication", "signing"]
    assert listed["groups"] == ["system:bootstrappers:kubeadm:default-node-token"]
    assert token in cluster.run("kubestrap", "token", "list")
    twice = cluster.try_("kubestrap", "token", "create", token)
    assert twice.code == 1 and "exists" in twice.err, str(twice)
    wrong = cluster.try_("kubestrap", "token", "create", "nonsense", "--ttl", "soon", "--usages", "flying")
    assert wrong.code == 2, str(wrong)
    assert all(part in wrong.err for part in ("malformed", "--ttl", "flying")), wrong.err
    assert "deleted" in cluster.run("kubestrap", "token", "delete", token)
    assert token not in cluster.run("kubestrap", "token", "list")
    given = "abcdef.0123456789abcdef"
    assert cluster.run("kubestrap", "token", "create", given, "--ttl", "0") == given + "\n"
    assert "<forever>" in cluster.run("kubestrap", "token", "list")
    assert cluster.try_("kubestrap", "token", "delete", "abcdef").code == 0
    shown = cluster.try_("kubestrap", "token", "create", "--dry-run", "-o", "json")
    assert shown.json["token"] not in cluster.run("kubestrap", "token", "list")


# ---- last on this cluster, since it changes it


@pytest.fixture(scope="module")
def worker(cluster):
    """A second machine, joined by the real kubeadm with a token of kubestrap's."""
    machine = cluster.lab.machine("w1")
    command = cluster.run("kubestrap", "token", "create", "--print-join-command").split()
    assert command[1] == "join"
    machine.run("kubeadm", *command[1:], IGNORED, "--node-name", "w1")
    cluster.lab.install_pod_network(cluster)
    cluster.wait_ready()
    return machine


def test_kubeadm_joins_a_worker(cluster, worker):
    nodes = {node["metadata"]["name"]: node for node in cluster.get("nodes")["items"]}
    assert set(nodes) == {"n1", "w1"}
    ready = [one["status"] for node in nodes.values() for one in node["status"]["conditions"] if one["type"] == "Ready"]
    assert ready == ["True", "True"]


def test_pods_and_services_reach_across_nodes(cluster, worker, pod):
    far = cluster.start_pod("second", "w1")
    for source, name, address in (("first", "second", far), ("second", "first", pod)):
        for target in (f"{address}:8080", f"{name}.default.svc.cluster.local"):
            answer = cluster.until(
                f"{source} reaches {target}", lambda: cluster.in_pod(source, "testtool", "get", f"http://{target}/"), 30
            )
            assert f"pod={name}" in answer
    assert cluster.in_pod("second", "testtool", "dns", "kubernetes.default.svc.cluster.local").split() == ["10.96.0.1"]
    assert "serving :8080" in cluster.kubectl("logs", "second")


def test_kubeadm_uploads_what_is_uploaded(cluster):
    """It reads our configuration and writes it again without a change, and kubestrap sees none."""

    def uploaded():
        return {name: cluster.get("configmap", name, "-n", "kube-system")["data"] for name in ("kubeadm-config", "kubelet-config")}

    before = uploaded()
    documents = "---\n".join(text for data in before.values() for text in data.values())
    cluster.write("/root/uploaded.yaml", documents)
    cluster.run("kubeadm", "init", "phase", "upload-config", "all", "--config", "/root/uploaded.yaml")
    assert uploaded() == before
    again = cluster.init("--exit-code")
    assert again.code == 0, str(again)


def test_kubeadm_renews_the_certificates(cluster):
    folder = "/etc/kubernetes"
    before = cluster.digests(folder)
    cluster.run("kubeadm", "certs", "renew", "all")
    after = cluster.digests(folder)
    changed = {path.removeprefix(f"{folder}/") for path in after if after[path] != before.get(path)}
    leaves = ("apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client")
    etcd = ("etcd/healthcheck-client", "etcd/peer", "etcd/server")
    confs = ("admin", "controller-manager", "scheduler", "super-admin")
    pairs = {f"pki/{name}.{ending}" for name in leaves + etcd for ending in ("crt", "key")}
    assert changed == pairs | {f"{name}.conf" for name in confs}
    keys = cluster.sh("cat /etc/kubernetes/pki/*.key /etc/kubernetes/pki/etcd/*.key")
    assert set(labels_of(keys)) == {"EC PRIVATE KEY"}  # it goes on with the algorithm that was chosen
    again = cluster.init("--exit-code")
    assert again.code == 0, str(again)
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


# ---- other ways to a cluster


@pytest.fixture(scope="module")
def quiet(lab):
    """Ends the machines of the cluster above, which nobody asks any more."""
    running = [name for name, one in lab.status().items() if one["state"] == "running"]
    if running:
        lab.call("power-off", *running)


PHASES = (
    "preflight",
    "certs all",
    "kubeconfig all",
    "etcd local",
    "control-plane all",
    "kubelet-start",
    "wait-control-plane",
    "upload-config all",
    "upload-certs --upload-certs --skip-certificate-key-print",
    "mark-control-plane",
    "bootstrap-token",
    "kubelet-finalize all",
    "addon all",
)


@pytest.fixture(scope="module")
def by_phases(lab, quiet):
    """A cluster made by one command for each phase, with an endpoint, so that control planes can join."""
    machine = lab.machine("n1")
    machine.give_pod_network()
    machine.write(CONFIG, with_endpoint(machine))
    for phase in PHASES:
        machine.run("kubestrap", "init", "phase", *phase.split(), "--config", CONFIG)
    machine.wait_ready()
    return machine


def test_phases_one_by_one_make_the_same_cluster(by_phases):
    whole = by_phases.try_("kubestrap", "init", "--config", CONFIG, "-o", "json", "--exit-code")
    assert whole.code == 0, str(whole)
    assert {change["verb"] for change in whole.json["changes"]} == {"keep"}


def test_kubeadm_joins_a_control_plane_with_uploaded_certificates(by_phases, lab):
    secret = by_phases.get("secret", "kubeadm-certs", "-n", "kube-system")
    assert len(secret["data"]) == 8
    assert [owner["kind"] for owner in secret["metadata"]["ownerReferences"]] == ["Secret"]
    join = by_phases.run("kubestrap", "token", "create", "--print-join-command", "--certificate-key", CERTIFICATE_KEY)
    second = lab.machine("n2")
    second.run("kubeadm", *join.split()[1:], IGNORED, "--node-name", "n2")
    lab.install_pod_network(by_phases)
    by_phases.wait_ready()
    etcd = by_phases.get("pods", "-n", "kube-system", "-l", "component=etcd")["items"]
    assert {pod["spec"]["nodeName"] for pod in etcd} == {"n1", "n2"}
    members = by_phases.kubectl(
        "-n", "kube-system", "exec", "etcd-n1", "--", "etcdctl", "--endpoints=https://127.0.0.1:2379",
        "--cacert=/etc/kubernetes/pki/etcd/ca.crt", "--cert=/etc/kubernetes/pki/etcd/server.crt",
        "--key=/etc/kubernetes/pki/etcd/server.key", "member", "list", "-w", "json",
    )
    learners = [member.get("isLearner", False) for member in json.loads(members)["members"]]
    assert learners == [False, False]
    assert second.run("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "get", "--raw", "/readyz") == "ok"


def test_skipped_phases_leave_nothing_behind(lab, quiet):
    machine = lab.machine("n1")
    skipped = ("addon/kube-proxy", "certs/etcd-healthcheck-client", "bootstrap-token", "show-join-command")
    done = machine.init(f"--skip-phases={','.join(skipped)}")
    assert done.code == 0, str(done)
    assert done.out == ""
    for phase in skipped[:3]:
        assert f"[{phase}] skipped" in done.err
    assert "/etc/kubernetes/pki/etcd/healthcheck-client.crt" not in machine.listing("/etc/kubernetes/pki")
    found = machine.get("daemonsets,secrets,deployments", "-n", "kube-system")["items"]
    assert [item["metadata"]["name"] for item in found] == ["coredns"]
    unknown = machine.try_("kubestrap", "init", "--skip-phases=addon/core-dns")
    assert unknown.code == 2, str(unknown)
    assert "addon/coredns" in unknown.err


def test_the_minor_version_before_becomes_ready_with_what_belongs_to_it(lab, quiet):
    machine = lab.machine("n1", version=OLDER)
    done = machine.init(config=machine.config(version=OLDER))
    assert done.code == 0, str(done)
    lab.install_pod_network(machine)
    machine.wait_ready()
    until_all_run(machine, OLDER)
    assert machine.get("nodes")["items"][0]["status"]["nodeInfo"]["kubeletVersion"] == f"v{OLDER}"
    again = machine.init("--exit-code", config=machine.config(version=OLDER))
    assert again.code == 0, str(again)
    judged = machine.try_("kubeadm", "certs", "check-expiration")
    assert judged.code == 0, str(judged)
    planned = machine.try_(f"/opt/kubernetes/{VERSION}/kubeadm", "upgrade", "plan", f"v{VERSION}")
    assert planned.code == 0, str(planned)
    for name, old in (("kube-apiserver", f"v{OLDER}"), ("etcd", versions.kubernetes(OLDER).etcd_image)):
        assert re.search(rf"^{name} .*\b{re.escape(old)} ", planned.out, re.MULTILINE), planned.out
    assert f"kubeadm upgrade apply v{VERSION}" in planned.out
