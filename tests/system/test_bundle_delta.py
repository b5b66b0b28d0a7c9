"""Deltas of bundles: a machine that has an older bundle's things is brought to a newer one's by what that one lacks, and by nothing that is not vouched for."""

import pytest

from test_bundle import KEY, PARTS, PROGRAMS, has, lay_out, strip
from test_join import IGNORED
from test_reset import is_as_before
from testbed import OLDER, PATIENCE, VERSION

pytestmark = pytest.mark.long
OLD, NEW, STEP = "/root/old.bundle", "/root/new.bundle", "/root/step.bundle"
UNSIGNED, UNSIGNED_STEP, OTHER = "/root/unsigned.bundle", "/root/unsigned-step.bundle", "/root/other.bundle"
NOTES = "/var/lib/kubestrap/manifests/notes.yaml"
WATCHED = ("/usr/bin", "/usr/share/hello-lab", "/etc/systemd", "/opt/cni/bin", "/var/lib/kubestrap")


def create(machine, target: str, version: str, *flags: str) -> None:
    machine.run("kubestrap", "bundle", "create", target, "--from", PARTS, "--kubernetes-version", f"v{version}", *flags, timeout=PATIENCE * 2)


@pytest.fixture(scope="module")
def machine(lab):
    """It has nothing; and bundles of two versions, signed, with the step from one to the other, and the like of strangers."""
    made = lab.machine("n1", version=OLDER, images=False)
    made.run("kubestrap", "bundle", "keygen", KEY)
    made.run("kubestrap", "bundle", "keygen", "/root/other.key")
    for target, version, package in ((OLD, OLDER, "1.0-1"), (NEW, VERSION, "1.1-1")):
        made.sh(f"rm -rf {PARTS} /root/hello")
        lay_out(made, images=False, package=package)
        made.sh(f"cp /opt/images/{version}/*.tar {PARTS}/images && cp /opt/kubernetes/{version}/kubelet /opt/kubernetes/{version}/kubectl {PARTS}/bin")
        made.sh(f"sed -i 's/name: notes/&, labels: {{of: v{version}}}/' {PARTS}/manifests/notes.yaml")
        create(made, target, version, "--sign-key", KEY)
    create(made, UNSIGNED, VERSION)
    made.sh(f"rm -rf {PARTS}/images {PARTS}/packages {PARTS}/bin")
    create(made, OTHER, OLDER, "--sign-key", KEY)
    # No key is trusted yet: somebody may make what no machine will take.
    made.run("kubestrap", "bundle", "delta", OLD, UNSIGNED, UNSIGNED_STEP, timeout=PATIENCE * 2)
    done = made.try_("kubestrap", "bundle", "delta", OLD, NEW, STEP, "--key", f"{KEY}.pub", "-o", "json", timeout=PATIENCE * 2)
    assert done.code == 0, str(done)
    made.sh(f"head -c 200000 {STEP} >/root/cut.bundle; cp {STEP} /root/spoilt.bundle; printf x | dd of=/root/spoilt.bundle bs=1 seek=$(($(stat -c %s {STEP}) / 2)) conv=notrunc status=none")
    strip(made)
    return made


def digest(machine, bundle: str) -> str:
    return machine.try_("kubestrap", "bundle", "inspect", bundle, "-o", "json").json["lockDigest"]


def test_a_delta_has_what_the_older_one_lacks_and_vouches_for_the_newer_one(machine):
    sizes = [int(machine.run("stat", "-c", "%s", file)) for file in (STEP, NEW)]
    assert sizes[0] < sizes[1]
    alone = machine.try_("kubestrap", "bundle", "verify", STEP, "-o", "json").json
    assert alone["delta"] and alone["lockDigest"] == digest(machine, NEW) and alone["signature"]["standing"] == "trusted"
    assert {"bin/containerd", "bin/runc", "cni/bridge", "units/kubelet.service"} <= set(alone["lacking"])
    assert not {"bin/kubelet", "bin/kubectl", "manifests/notes.yaml", "packages/hello-lab_1.1-1_all.deb"} & set(alone["lacking"])
    both = machine.try_("kubestrap", "bundle", "verify", STEP, "--base", OLD, "-o", "json", timeout=PATIENCE * 2)
    assert both.code == 0 and both.json["lacking"] == [], str(both)
    changed = machine.try_("kubestrap", "bundle", "diff", OLD, NEW, "-o", "json", "--exit-code")
    assert changed.code == 4, str(changed)
    assert {"bin/kubelet", "manifests/notes.yaml", f"registry.k8s.io/kube-apiserver:v{VERSION}"} <= {each["name"] for each in changed.json["items"]}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((UNSIGNED_STEP, "--base", OLD), 3, "is not signed, and a key is trusted here"),
        ((STEP, "--base", OLD, "--key", "/root/other.key.pub"), 3, "is signed, but not by a key that is trusted here"),
        ((STEP, "--base", UNSIGNED), 3, f"{UNSIGNED} is not signed"),
        ((STEP, "--base", OTHER), 1, f"does not go by {OTHER}, but by the bundle whose lock file has the digest "),
        ((STEP, "--base", NEW), 1, f"does not go by {NEW}, but by the bundle whose lock file has the digest "),
        ((STEP, "--base", STEP), 2, "is a delta itself"),
        ((STEP,), 2, "is a delta, and has only what an older bundle lacks"),
        ((STEP, "--base", "/root/absent.bundle"), 2, "there is no file /root/absent.bundle"),
        ((NEW, "--base", OLD), 2, "is whole: it goes by no other bundle"),
        (("/root/cut.bundle", "--base", OLD), 1, "cut.bundle"),
        (("/root/spoilt.bundle", "--base", OLD), 1, "spoilt.bundle"),
    ],
    ids=["unsigned", "signed-by-another", "base-unsigned", "another-base", "the-newer-as-base", "itself-as-base", "without-base", "no-such-base", "not-a-delta", "cut-off", "spoilt"],
)
def test_what_is_no_step_from_what_is_there_is_refused_and_nothing_is_written(machine, words, code, said):
    before = machine.digests(*WATCHED)
    done = machine.try_("kubestrap", "bundle", "load", *words, timeout=PATIENCE * 2)
    assert done.code == code and said in done.err, str(done)
    if "lock file has the digest" in said:
        assert digest(machine, OLD) in done.err, str(done)
    assert machine.digests(*WATCHED) == before
    started = machine.init("--bundle", words[0], "--offline", *(["--bundle-base", words[2]] if len(words) > 2 else []), *(["--bundle-key", words[4]] if len(words) > 4 else []))
    assert started.code == code and said in started.err, str(started)
    assert machine.digests(*WATCHED) == before


def is_at(machine, version: str, package: str) -> None:
    assert machine.run("kubelet", "--version") == f"Kubernetes v{version}\n"
    assert machine.run("dpkg-query", "-W", "-f", "${Version}", "hello-lab") == package
    assert f"of: v{version}" in machine.read(NOTES)


def test_a_machine_with_the_older_one_is_brought_to_the_newer_one_and_is_as_before_when_it_is_reset(machine):
    machine.run("kubestrap", "bundle", "load", OLD, timeout=PATIENCE * 2)
    is_at(machine, OLDER, "1.0-1")
    planned = machine.try_("kubestrap", "bundle", "load", STEP, "--base", OLD, "--dry-run", "-o", "json", "--exit-code", timeout=PATIENCE * 2)
    assert planned.code == 4 and planned.json["changed"], str(planned)
    is_at(machine, OLDER, "1.0-1")
    loaded = machine.try_("kubestrap", "bundle", "load", STEP, "--base", OLD, "-o", "json", timeout=PATIENCE * 2)
    assert loaded.code == 0 and loaded.json["changed"], str(loaded)
    is_at(machine, VERSION, "1.1-1")
    for words in ((STEP, "--base", OLD), (NEW,)):
        again = machine.try_("kubestrap", "bundle", "load", *words, "-o", "json", "--exit-code", timeout=PATIENCE * 2)
        assert (again.code, again.json["changed"]) == (0, False), str(again)
    machine.run("kubestrap", "reset", "--force", timeout=300)
    assert has(machine, *(f"/usr/bin/{program}" for program in PROGRAMS), NOTES, "/usr/share/hello-lab/text") == set()
    is_as_before(machine)
    machine.give_pod_network()


def test_a_step_that_is_killed_goes_on(machine):
    machine.run("kubestrap", "bundle", "load", OLD, timeout=PATIENCE * 2)
    kills = 0
    for nth in range(1, 60, 2):
        said = machine.stop("bundle", "load", STEP, "--base", OLD, nth=nth)
        if "ended 0" in said:
            break
        assert "ended 137" in said, said
        kills += 1
    print(f"{kills} kills")
    assert kills >= 3
    is_at(machine, VERSION, "1.1-1")
    again = machine.try_("kubestrap", "bundle", "load", NEW, "--exit-code", timeout=PATIENCE * 2)
    assert again.code == 0, str(again)
    machine.run("kubestrap", "reset", "--force", timeout=300)
    is_as_before(machine)
    machine.give_pod_network()


def test_a_cluster_of_the_older_one_is_upgraded_by_the_step(machine):
    made = machine.init("--bundle", OLD, "--offline", config=machine.config(version=OLDER))
    assert made.code == 0, str(made)
    machine.wait_ready()
    step = ("--bundle", STEP, "--bundle-base", OLD, "--offline", IGNORED)
    alone = machine.try_("kubestrap", "upgrade", "apply", f"v{VERSION}", "--bundle", STEP, "--offline", "--yes", IGNORED)
    assert alone.code == 2 and "is a delta" in alone.err, str(alone)
    for words in (("apply", f"v{VERSION}", "--yes"), ("node",)):
        done = machine.try_("kubestrap", "upgrade", *words, *step, timeout=900)
        assert done.code == 0, str(done)
    machine.until("the kubelet tells of itself", lambda: machine.get("node", "n1")["status"]["nodeInfo"]["kubeletVersion"] == f"v{VERSION}")
    machine.until("all is ready", lambda: machine.wait_ready() is None)
    is_at(machine, VERSION, "1.1-1")
    again = machine.try_("kubestrap", "bundle", "load", NEW, "-o", "json", "--exit-code", timeout=PATIENCE * 2)
    assert (again.code, again.json["changed"]) == (0, False), str(again)
    machine.run("kubestrap", "reset", "--force", timeout=300)
    assert has(machine, *(f"/usr/bin/{program}" for program in PROGRAMS)) == set()
    is_as_before(machine)
