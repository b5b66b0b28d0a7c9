"""kubestrap's own image on a machine: imported by containerd's own loader, kept by it, and fit for its programs."""

import json
import os
import shutil
import subprocess
import tarfile

import pytest
from testbed import ROOT

ARCHIVE = "/usr/lib/kubestrap/kubestrap-image.tar"
REPOSITORY = "kubestrap.io/kubestrap"
IMPORT = ("ctr", "-n", "k8s.io", "images", "import", "--local", "--base-name", REPOSITORY, "--digests",
          "--label", "io.cri-containerd.pinned=pinned", ARCHIVE)  # fmt: skip
FRONT = """\
global
  lua-load /configs/front.lua
  user front
  group front
  stats socket /tmp/front.sock mode 600 expose-fd listeners
defaults
  mode tcp
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend api
  bind 127.0.0.1:6443
  use_backend %[lua.choose]
backend slots
  option httpchk GET /readyz
  server one 127.0.0.2:6443 check check-ssl verify none inter 500ms fall 1 rise 2
  server two 10.88.0.12:6443 check check-ssl verify none inter 500ms fall 1 rise 2 tcp-ut 4s backup
"""
LUA = 'core.register_fetches("choose", function(txn) return "slots" end)\n'
KEEPALIVED = """\
vrrp_instance api {
  interface eth0
  virtual_router_id 51
  priority 100
  virtual_ipaddress {
    10.88.0.200
  }
}
"""
NOWHERE = """\
apiVersion: v1
kind: Config
current-context: nowhere
clusters: [{name: nowhere, cluster: {server: "https://127.0.0.1:1", insecure-skip-tls-verify: true}}]
users: [{name: nobody, user: {token: none}}]
contexts: [{name: nowhere, context: {cluster: nowhere, user: nobody}}]
"""


@pytest.fixture(scope="module")
def machine(lab):
    made = lab.machine("n1")
    made.run(*IMPORT)
    for name, text in (("front.cfg", FRONT), ("front.lua", LUA), ("vip.conf", KEEPALIVED), ("nowhere.conf", NOWHERE)):
        made.write(f"/root/configs/{name}", text)
    yield made
    lab.off(made)


@pytest.fixture(scope="module")
def digest():
    with tarfile.open(ROOT / "build/release/kubestrap-image.tar") as tar:
        return json.load(tar.extractfile("index.json"))["manifests"][0]["digest"]


def inside(machine, digest, *command, user="root"):
    """Runs a command in a container of the image, as it is named by digest."""
    mount = "type=bind,src=/root/configs,dst=/configs,options=rbind:ro"
    return machine.try_("ctr", "-n", "k8s.io", "run", "--rm", "--net-host", "--read-only", "--user", user, "--mount", mount,
                        f"{REPOSITORY}@{digest}", f"try-{command[0]}", *command)  # fmt: skip


def images_of_kubelet(machine) -> list[str]:
    """What the runtime answers to the kubelet's question for all images: `decode_raw` of each."""
    asked = machine.popen("curl", "-sS", "--http2-prior-knowledge", "--unix-socket", "/run/containerd/containerd.sock",
                          "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@-", "-o", "-",
                          "http://runtime/runtime.v1.ImageService/ListImages", stdin=subprocess.PIPE, text=False)  # fmt: skip
    answer, complaint = asked.communicate(bytes(5))  # gRPC's frame of an empty message
    assert asked.returncode == 0, complaint
    text = subprocess.run(["protoc", "--decode_raw"], input=answer[5:], capture_output=True, check=True).stdout.decode()
    return text.split("\n}\n")


def test_the_import_makes_tag_and_digest_and_the_kubelet_may_not_collect_it(machine, digest):
    version = machine.run("kubestrap", "version", "-o", "short").strip()
    (ours,) = [image for image in images_of_kubelet(machine) if REPOSITORY in image]
    assert f'2: "{REPOSITORY}:{version}"' in ours
    assert f'3: "{REPOSITORY}@{digest}"' in ours
    assert "\n  8: 1" in ours  # runtime.v1.Image.pinned
    others = [image for image in images_of_kubelet(machine) if "registry.k8s.io/etcd:" in image]
    assert others and "\n  8: 1" not in others[0]


def test_a_second_import_changes_nothing(machine):
    before = machine.run("ctr", "-n", "k8s.io", "images", "ls")
    machine.run(*IMPORT)
    assert machine.run("ctr", "-n", "k8s.io", "images", "ls") == before


def test_haproxy_has_lua_and_tls_and_takes_a_front(machine, digest):
    said = inside(machine, digest, "haproxy", "-vv", user="front").out
    assert "Built with Lua" in said and "Running on OpenSSL" in said
    checked = inside(machine, digest, "haproxy", "-c", "-f", "/configs/front.cfg")
    assert checked.code == 0 and "Configuration file is valid" in checked.out, checked


def test_keepalived_takes_a_virtual_address(machine, digest):
    checked = inside(machine, digest, "keepalived", "--config-test", "--use-file", "/configs/vip.conf")
    assert checked.code == 0, checked


def test_kubestrap_speaks_http_from_it(machine, digest):
    version = machine.run("kubestrap", "version")
    assert inside(machine, digest, "kubestrap", "version").out == version
    asked = inside(machine, digest, "kubestrap", "token", "list", "--kubeconfig", "/configs/nowhere.conf")
    assert asked.code == 1 and "127.0.0.1:1" in asked.err and "libcurl" not in asked.err, asked


def test_there_is_no_shell_in_it(machine, digest):
    assert "executable file not found" in inside(machine, digest, "sh", "-c", "true").err


@pytest.mark.long
def test_two_builds_of_one_binary_are_the_same_bytes(tmp_path):
    archives = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(ROOT / "build/release/kubestrap", tmp_path / name / "kubestrap")
        environment = os.environ | {"SOURCE_DATE_EPOCH": "1700000000"}
        subprocess.run([ROOT / "image/build", tmp_path / name], check=True, env=environment)
        archives.append((tmp_path / name / "kubestrap-image.tar").read_bytes())
    assert archives[0] == archives[1]
