"""`bundle create --image`: images that no file brings come from a registry, and go with the bundle to a machine that can reach none."""

import subprocess

import pytest

from kubelab import paths
from registry import serving
from test_bundle import BUNDLE, KEY, PARTS, VERSION, lay_out, strip
from testbed import PATIENCE

pytestmark = pytest.mark.long
ARCHIVES = paths.cache("images", VERSION)
HOSTS, AUTHORITY = "/etc/containerd/certs.d/registry.k8s.io/hosts.toml", "/etc/containerd/certs.d/registry.k8s.io/ca.crt"
PLAIN = """server = "https://registry.k8s.io"
[host."http://127.0.0.1:5000"]
  capabilities = ["pull", "resolve"]
"""
TLS = """server = "https://registry.k8s.io"
[host."https://127.0.0.1:5001"]
  capabilities = ["pull", "resolve"]
"""


@pytest.fixture(scope="module")
def maker(lab):
    """A machine without any image."""
    machine = lab.machine("n1", images=False)
    lay_out(machine, images=False)
    machine.run("kubestrap", "bundle", "keygen", KEY)
    return machine


@pytest.fixture(scope="module")
def wanted(maker):
    return [each for each in maker.run("kubestrap", "config", "images", "list", "--kubernetes-version", f"v{VERSION}").split() if "/kubestrap:" not in each]


def create(machine, target: str, *words: str, **more):
    return machine.try_("kubestrap", "bundle", "create", target, *words, timeout=PATIENCE * 2, **more)


def there(machine) -> set[str]:
    return set(machine.run("ctr", "-n", "k8s.io", "images", "ls", "-q").split())


def test_images_of_a_registry_are_in_the_bundle_and_a_machine_that_reaches_none_becomes_a_cluster(lab, maker, wanted):
    flags = [word for image in wanted for word in ("--image", image)]
    flags += ["--from", PARTS, "--kubernetes-version", f"v{VERSION}", "--sign-key", KEY]
    assert there(maker) == set()
    with serving(maker, 5000, ARCHIVES):
        maker.write(HOSTS, PLAIN)
        made = create(maker, BUNDLE, *flags, "-o", "json", "--exit-code")
    assert made.code == 0, str(made)
    assert made.json["missingImages"] == [] and made.json["signed"], str(made)
    for image in wanted:
        assert f"the runtime pulls {image} for amd64" in made.err, str(made)
    inside = maker.try_("kubestrap", "bundle", "inspect", BUNDLE, "-o", "json").json["lock"]
    assert {each["name"] for each in inside["images"]} == set(wanted)

    # The registry is gone: what the runtime has is enough, and the same comes of it.
    again = create(maker, "/root/again.bundle", *flags)
    assert again.code == 0 and "the runtime pulls" not in again.err, str(again)
    maker.run("cmp", BUNDLE, "/root/again.bundle")

    node = lab.machine("n2", images=False)
    for file in (BUNDLE, f"{KEY}.pub"):
        node.take(file, maker)
    strip(node)
    node.run("ip", "route", "del", "default")
    done = node.init("--bundle", BUNDLE, "--offline")
    assert done.code == 0 and "no default route, and none to the service network 10.96.0.0/12" in done.err, str(done)
    node.wait_ready()
    assert set(wanted) <= there(node)
    again = node.init("--bundle", BUNDLE, "--offline", "--exit-code")
    assert again.code == 0, str(again)
    lab.off(node)


def test_an_image_that_cannot_be_had_is_named_and_no_bundle_is_begun(maker, wanted):
    maker.write(HOSTS, PLAIN)
    absent, target = "registry.k8s.io/absent:v1", "/root/absent.bundle"
    with serving(maker, 5000, ARCHIVES):
        done = create(maker, target, "--image", wanted[0], "--image", absent)
    assert done.code == 1 and f"containerd cannot give the image {absent}" in done.err and "not found" in done.err, str(done)
    assert "try: " in done.err and "archive in images/" in done.err, str(done)
    done = create(maker, target, "--image", absent)  # nobody listens there
    assert done.code == 1 and absent in done.err and "connection refused" in done.err, str(done)
    done = create(maker, target, "--image", absent, "--offline")
    assert done.code == 3 and f"wanted to pull {absent} for amd64, and --offline forbids it" in done.err, str(done)
    assert maker.sh("ls -A /root | grep absent || true") == ""


def test_a_registry_is_believed_by_the_authority_that_its_mirror_is_given(maker, wanted, tmp_path):
    certificate, key = tmp_path / "registry.crt", tmp_path / "registry.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=registry",
               "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    (pause,) = [image for image in wanted if "/pause:" in image]
    maker.sh(f"for image in $(ctr -n k8s.io images ls -q | grep {pause}); do ctr -n k8s.io images rm $image; done")
    with serving(maker, 5001, ARCHIVES, certificate, key):
        maker.write(HOSTS, TLS)
        done = create(maker, "/root/tls.bundle", "--image", pause)
        assert done.code == 1 and "certificate signed by unknown authority" in done.err, str(done)
        maker.write(AUTHORITY, certificate.read_text())
        maker.write(HOSTS, TLS + f'  ca = "{AUTHORITY}"\n')
        done = create(maker, "/root/tls.bundle", "--image", pause)
    assert done.code == 0 and f"the runtime pulls {pause}" in done.err, str(done)
    assert pause in maker.run("kubestrap", "bundle", "inspect", "/root/tls.bundle")
