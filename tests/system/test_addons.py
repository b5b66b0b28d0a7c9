"""Add-ons of the configuration, on real API servers: what is asked of manifests, and real ones whose programs are built from their modules."""

import json
import subprocess

import pytest

from kubelab import addons
from kubelab.progress import Silent
from test_join import join, join_words
from testbed import PATIENCE

MANIFESTS = "/var/lib/kubestrap/manifests"

# Made up, with the kinds and names by which the real ones are known; no program of theirs runs.
FLANNEL = """
apiVersion: v1
kind: ConfigMap
metadata: {name: kube-flannel-cfg, namespace: kube-flannel}
data:
  net-conf.json: '{"Network": "10.1.0.0/16", "Backend": {"Type": "vxlan"}}'
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec:
  selector: {matchLabels: {app: flannel}}
  template:
    metadata: {labels: {app: flannel}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      terminationGracePeriodSeconds: 0
      containers:
      - {name: kube-flannel, image: quay.io/made-up/flannel:v1, command: [sleep, 1d], resources: {requests: {cpu: 0.01, memory: 0.05Gi}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: kube-flannel}
"""
POOLS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %(plural)s.metallb.io}
spec:
  group: metallb.io
  scope: Namespaced
  names: {kind: %(kind)s, plural: %(plural)s, singular: %(singular)s}
  versions:
  - {name: v1beta1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}}
---
"""
METALLB = (
    POOLS % {"kind": "IPAddressPool", "plural": "ipaddresspools", "singular": "ipaddresspool"}
    + POOLS % {"kind": "L2Advertisement", "plural": "l2advertisements", "singular": "l2advertisement"}
    + """
apiVersion: v1
kind: Namespace
metadata: {name: metallb-system}
---
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: metallb-system}
spec: {selector: {app: metallb}, ports: [{port: 443, targetPort: 9443}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: metallb-webhook-configuration}
webhooks:
- name: pools.metallb.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {name: hook, namespace: metallb-system}}
  rules: [{apiGroups: [metallb.io], apiVersions: [v1beta1], operations: [CREATE, UPDATE], resources: [ipaddresspools]}]
"""
)
CONTROLLER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %(name)s, namespace: %(name)s}
spec:
  selector: {matchLabels: {app: %(name)s}}
  template:
    metadata: {labels: {app: %(name)s}}
    spec: {containers: [{name: controller, image: quay.io/made-up/controller:v1, args: [/nginx, --publish-service=a/b], ports: [{containerPort: 80}]}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: admission-create, namespace: %(name)s}
spec:
  ttlSecondsAfterFinished: 0
  template:
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      restartPolicy: OnFailure
      containers: [{name: create, image: "lab.local/test:1", imagePullPolicy: Never, command: [sh, -c, exit 0]}]
---
apiVersion: v1
kind: Service
metadata: {name: %(name)s, namespace: %(name)s}
spec: {type: NodePort, externalTrafficPolicy: Local, selector: {app: %(name)s}, ports: [{name: http, port: 80}, {name: https, port: 443}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: %(name)s}
"""
CALICO = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ippools.crd.projectcalico.org}
spec:
  group: crd.projectcalico.org
  scope: Cluster
  names: {kind: IPPool, plural: ippools, singular: ippool}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, required: [cidr], properties: {cidr: {type: string}, ipipMode: {type: string}, vxlanMode: {type: string}}}}}}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 192.168.0.0/16}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: calico-node, namespace: kube-system}
spec:
  selector: {matchLabels: {k8s-app: calico-node}}
  template:
    metadata: {labels: {k8s-app: calico-node}}
    spec: {nodeSelector: {made-up: "yes"}, containers: [{name: calico-node, image: quay.io/made-up/node:v1}]}
"""
CILIUM = """
apiVersion: v1
kind: ConfigMap
metadata: {name: cilium-config, namespace: kube-system}
data: {ipam: cluster-pool, cluster-pool-ipv4-cidr: 10.0.0.0/8, cluster-pool-ipv4-mask-size: "24"}
"""
TEST_IMAGE = "images: {quay.io/made-up/flannel: 'lab.local/test:1'}"


def configuration(*asked: str) -> str:
    return "apiVersion: kubestrap.io/v1alpha1\nkind: KubestrapConfiguration\nlayout: plain\naddons:\n" + "".join(f"- {each}\n" for each in asked)


def addons_of(machine, *words: str, asked: tuple[str, ...] = (), code: int = 0, **more):
    """`kubestrap addons` with these words, by a file where add-ons are given."""
    if asked:
        machine.write("/root/addons.yaml", configuration(*asked))
        words += ("--config", "/root/addons.yaml")
    done = machine.try_("kubestrap", "addons", *words, "-o", "json", **more)
    assert done.code == code, str(done)
    return done.json if done.out else done


# ---- what holds for all of them


@pytest.fixture(scope="module")
def made(lab):
    """A cluster whose init installs a pod network."""
    machine = lab.machine("n1")
    return machine


NETWORK = f"{{name: flannel, values: {{{TEST_IMAGE}}}}}"
BALANCER = "{name: metallb, values: {pools: [{name: hall, addresses: [10.88.200.0/28]}]}}"


def test_a_manifest_that_is_not_there_is_told_before_anything_is_changed(made):
    text = made.config() + f"addons:\n- {NETWORK}\n- {BALANCER}\n"
    done = made.init(config=text)
    assert done.code == 3, str(done)
    assert "addons.flannel: there is no manifest of it at /var/lib/kubestrap/manifests/flannel.yaml" in done.err, done.err
    assert "addons.metallb" in done.err and "--bundle" in done.err
    assert made.try_("test", "-e", "/etc/kubernetes/pki").code != 0
    made.write(f"{MANIFESTS}/flannel.yaml", FLANNEL.replace("net-conf.json", "other.json"))
    done = made.init(config=text)
    assert done.code == 3 and "/var/lib/kubestrap/manifests/flannel.yaml: it has no ConfigMap with net-conf.json" in done.err, str(done)


def test_init_installs_add_ons_and_a_second_run_keeps_them(made):
    made.write(f"{MANIFESTS}/flannel.yaml", FLANNEL)
    made.write(f"{MANIFESTS}/metallb.yaml", METALLB)
    text = made.config() + f"addons:\n- {NETWORK}\n- {BALANCER}\n"
    planned = made.init("--dry-run", config=text)
    assert planned.code == 0 and "[addon/flannel] will apply DaemonSet kube-flannel/kube-flannel-ds" in planned.out, str(planned)
    done = made.init(config=text)
    assert done.code == 0, str(done)
    net = json.loads(made.get("configmap", "-n", "kube-flannel", "kube-flannel-cfg")["data"]["net-conf.json"])
    assert net["Network"] == "10.244.0.0/16"
    # Its webhook answers nobody, and the pool is there all the same.
    assert made.get("ipaddresspools.metallb.io", "-n", "metallb-system", "hall")["spec"] == {"addresses": ["10.88.200.0/28"]}
    again = made.init("-o", "json", "--exit-code", config=text)
    assert (again.code, again.json["changed"]) == (0, False), str(again)
    made.kubectl("-n", "kube-flannel", "rollout", "status", "daemonset/kube-flannel-ds", f"--timeout={PATIENCE}s", timeout=PATIENCE + 20)


def test_a_cluster_that_stands_is_told_planned_and_changed(made):
    assert addons_of(made, "plan", "--exit-code")["changed"] is False
    status = {each["name"]: each for each in addons_of(made, "status", "--exit-code")["addons"]}
    assert status["flannel"]["well"] and status["flannel"]["images"] == ["lab.local/test:1"]
    made.write(f"{MANIFESTS}/flannel.yaml", FLANNEL.replace("sleep, 1d", "sleep, 2d"))
    plan = addons_of(made, "plan", "flannel", "--exit-code", code=4)
    changes = [each for each in plan["changes"] if each["verb"] != "keep"]
    assert [(each["subject"], each["verb"]) for each in changes] == [("DaemonSet kube-flannel/kube-flannel-ds", "update")], changes
    addons_of(made, "apply", "flannel", "--wait", "3m", timeout=PATIENCE + 60)
    assert addons_of(made, "plan", "--exit-code")["changed"] is False
    wrong = made.try_("kubestrap", "addons", "plan", "flanel")
    assert wrong.code == 2 and "metrics-server" in wrong.err, str(wrong)


@pytest.mark.parametrize(
    ("exposure", "more", "service"),
    [
        ("loadBalancer", "externalIPs: [10.88.200.3]", {"type": "LoadBalancer"}),
        ("nodePort", "nodePorts: {http: 30080}", {"type": "NodePort"}),
        ("externalIPs", "externalIPs: [192.0.2.7]", {"type": "ClusterIP", "externalIPs": ["192.0.2.7"]}),
        ("hostNetwork", "", {"type": "ClusterIP"}),
    ],
)
def test_the_api_server_takes_what_becomes_of_an_ingress_controller(made, exposure, more, service):
    name = "ingress-nginx"
    made.write(f"{MANIFESTS}/{name}.yaml", CONTROLLER % {"name": name})
    addons_of(made, "apply", asked=(NETWORK, BALANCER, f"{{name: {name}, values: {{exposure: {exposure}, {more}}}}}"))
    spec = made.get("service", "-n", name, name)["spec"]
    assert {key: spec.get(key) for key in service} == service
    if exposure == "nodePort":
        assert spec["ports"][0]["nodePort"] == 30080
    pod = made.get("deployment", "-n", name, name)["spec"]["template"]["spec"]
    assert pod.get("hostNetwork", False) == (exposure == "hostNetwork")
    assert addons_of(made, "plan", "--exit-code")["changed"] is False


def test_other_pod_networks_are_given_the_cluster_s_range(made):
    made.write(f"{MANIFESTS}/calico.yaml", CALICO)
    addons_of(made, "remove", "flannel", "--yes")
    addons_of(made, "apply", asked=("{name: calico, values: {encapsulation: vxlan}}", BALANCER))
    assert made.get("ippools.crd.projectcalico.org", "default-ipv4-ippool")["spec"] == {"cidr": "10.244.0.0/16", "ipipMode": "Never", "vxlanMode": "Always"}
    variables = made.get("daemonset", "-n", "kube-system", "calico-node")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "CALICO_IPV4POOL_CIDR", "value": "10.244.0.0/16"} in variables
    addons_of(made, "remove", "calico", "--yes")
    made.write(f"{MANIFESTS}/cilium.yaml", CILIUM)
    addons_of(made, "apply", asked=("{name: cilium}", BALANCER))
    assert made.get("configmap", "-n", "kube-system", "cilium-config")["data"]["cluster-pool-ipv4-cidr"] == "10.244.0.0/16"


def test_what_is_removed_is_gone_and_the_cluster_s_configuration_has_it_no_more(made):
    addons_of(made, "remove", "cilium", "metallb", "ingress-nginx", "--yes", timeout=PATIENCE)
    made.until("the namespaces are gone", lambda: made.try_("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "get", "namespace", "metallb-system").code != 0)
    assert "metallb.io" not in made.kubectl("get", "crds", "-o", "name")
    assert "kubestrap-addon" not in made.kubectl("get", "configmaps", "-n", "kube-system", "-o", "name")
    assert "addons" not in made.get("configmap", "-n", "kube-system", "kubestrap-config")["data"]["KubestrapConfiguration"]
    assert addons_of(made, "status")["addons"] == []


# ---- the real ones


TRAEFIK = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: traefik-ingress-controller, namespace: default}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: traefik}
spec: {controller: traefik.io/ingress-controller}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: traefik, namespace: default}
spec:
  selector: {matchLabels: {app: traefik}}
  template:
    metadata: {labels: {app: traefik}}
    spec:
      serviceAccountName: traefik-ingress-controller
      containers:
      - name: traefik
        image: docker.io/traefik/traefik:v3.7.13
        args: [--entrypoints.web.address=:8000, --providers.kubernetesingress, --providers.kubernetescrd, --ping=true, --global.checknewversion=false, --global.sendanonymoususage=false]
        ports: [{name: web, containerPort: 8000}]
        readinessProbe: {httpGet: {path: /ping, port: 8080}, periodSeconds: 2}
---
apiVersion: v1
kind: Service
metadata: {name: traefik, namespace: default}
spec: {selector: {app: traefik}, ports: [{name: web, port: 80, targetPort: web}]}
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: %(to)s}
spec:
  ingressClassName: traefik
  rules: [{host: web.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: %(to)s, port: {number: 80}}}}]}}]
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: writer}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: test, image: "lab.local/test:1", imagePullPolicy: Never, command: [sh, -c, "echo kept >/data/file; sleep 1d"], volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, persistentVolumeClaim: {claimName: kept}}]
"""
IMAGES = f"imageRegistry: {addons.REGISTRY}"


def give(machine, addon: str) -> None:
    """An add-on's images, as somebody does it who has no registry."""
    for archive in addons.images(addon, Silent()):
        machine.run("ctr", "-n", "k8s.io", "images", "import", f"/opt/images/{archive.parent.name}/{archive.name}", timeout=PATIENCE)


def give_manifest(machine, addon: str, name: str, to: str) -> None:
    files = addons.manifest(addon, name, Silent())
    machine.write(to, "---\n".join(file.read_text() for file in files))


def from_outside(lab, url: str, host: str) -> str:
    """What a machine says that is on the nodes' network and in no cluster: the lab's switch."""
    command = ["ip", "netns", "exec", f"lab-{lab.name}", "curl", "-sS", "--max-time", "3", "-H", f"Host: {host}", url]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cluster(lab):
    """A control plane and a worker with flannel between their pods."""
    first, worker = lab.machine("n1"), lab.machine("w1")
    for machine in (first, worker):
        for addon in ("flannel", "flannel-cni"):
            give(machine, addon)
    give_manifest(first, "flannel", "flannel", f"{MANIFESTS}/flannel.yaml")
    # And kube-proxy with nftables, where all others have it with iptables.
    text = first.config(("kind: KubeProxyConfiguration\n", "kind: KubeProxyConfiguration\nmode: nftables\n"))
    made = first.init(config=text + f"addons:\n- {flannel_network()}\n")
    assert made.code == 0, str(made)
    joined = join(worker, join_words(first))
    assert joined.code == 0, str(joined)
    first.wait_ready()
    return first


def flannel_network() -> str:
    own = f"'{addons.REGISTRY}/flannel-io/flannel-cni-plugin:lab'"
    return f"{{name: flannel, values: {{{IMAGES}, images: {{ghcr.io/flannel-io/flannel-cni-plugin: {own}}}}}}}"


@pytest.mark.long
def test_flannel_carries_packets_from_node_to_node(cluster):
    addresses = {node: cluster.start_pod(f"on-{node}", node) for node in ("n1", "w1")}
    for node, other in (("n1", "w1"), ("w1", "n1")):
        assert addresses[node].startswith("10.244.")
        assert f"node={other}" in cluster.in_pod(f"on-{node}", "testtool", "get", f"http://{addresses[other]}:8080/")
        assert f"node={other}" in cluster.in_pod(f"on-{node}", "testtool", "get", f"http://on-{other}.default.svc.cluster.local/")
    assert "flannel" in cluster.run("ip", "-o", "link")
    assert addons_of(cluster, "plan", "--exit-code")["changed"] is False


@pytest.mark.long
def test_metallb_and_traefik_answer_a_request_from_outside(cluster, lab):
    for name in ("n1", "w1"):
        for addon in ("metallb", "traefik"):
            give(type(cluster)(lab, name), addon)
    give_manifest(cluster, "metallb", "metallb", f"{MANIFESTS}/metallb.yaml")
    give_manifest(cluster, "traefik", "traefik-crds", "/root/traefik/1-definitions.yaml")
    give_manifest(cluster, "traefik", "traefik-rbac", "/root/traefik/2-rights.yaml")
    cluster.write("/root/traefik/3-traefik.yaml", TRAEFIK)
    outer = cluster.address.rsplit(".", 1)[0]
    asked = (
        flannel_network(),
        f"{{name: metallb, values: {{{IMAGES}, pools: [{{name: hall, addresses: [{outer}.240-{outer}.249]}}]}}}}",
        f"{{name: traefik, source: /root/traefik, values: {{{IMAGES}, exposure: loadBalancer, externalIPs: [{outer}.241]}}}}",
    )
    addons_of(cluster, "apply", "--wait", "5m", asked=asked, timeout=400)
    if cluster.try_("env", "KUBECONFIG=/etc/kubernetes/admin.conf", "kubectl", "get", "pod", "on-w1").code != 0:
        cluster.start_pod("on-w1", "w1")
    cluster.kubectl("apply", "-f", "-", input=INGRESS % {"to": "on-w1"})
    cluster.until("the address answers", lambda: "node=w1" in from_outside(lab, f"http://{outer}.241/", "web.example"))
    assert "404" in from_outside(lab, f"http://{outer}.241/", "other.example")
    assert addons_of(cluster, "plan", "--exit-code")["changed"] is False
    # Its webhook answers now: a pool that is changed goes through it.
    changed = (asked[0], asked[1].replace(".249]", ".248]"), asked[2])
    addons_of(cluster, "apply", asked=changed)
    assert cluster.get("ipaddresspools.metallb.io", "-n", "metallb-system", "hall")["spec"]["addresses"] == [f"{outer}.240-{outer}.248"]


@pytest.mark.long
def test_metrics_server_tells_what_nodes_use(cluster, lab):
    for name in ("n1", "w1"):
        give(type(cluster)(lab, name), "metrics-server")
    # Its base is made to be built by kustomize, which adds the labels.
    for file in addons.manifest("metrics-server", "metrics-server", Silent()):
        cluster.write(f"/root/metrics/{file.name}", file.read_text())
    source = addons.manifest("metrics-server", "metrics-server", Silent())[0].parent
    cluster.write("/root/metrics/kustomization.yaml", (source / "kustomization.yaml").read_text())
    cluster.sh(f"kubectl kustomize /root/metrics >{MANIFESTS}/metrics-server.yaml")
    image = f"'{addons.REGISTRY}/metrics-server/metrics-server:v0.9.0'"
    values = f"{{kubeletInsecureTLS: true, images: {{gcr.io/k8s-staging-metrics-server/metrics-server: {image}}}}}"
    asked = (flannel_network(), f"{{name: metrics-server, values: {values}}}")
    addons_of(cluster, "apply", "metrics-server", "--wait", "5m", asked=asked, timeout=400)
    shown = cluster.until("nodes are measured", lambda: cluster.kubectl("top", "nodes", "--no-headers"))
    assert {line.split()[0] for line in shown.splitlines()} == {"n1", "w1"}, shown


@pytest.mark.long
def test_local_path_makes_a_volume(cluster, lab):
    for name in ("n1", "w1"):
        give(type(cluster)(lab, name), "local-path")
    give_manifest(cluster, "local-path", "local-path", f"{MANIFESTS}/local-path.yaml")
    asked = (flannel_network(), f"{{name: local-path, values: {{{IMAGES}, path: /var/lib/volumes, default: true}}}}")
    addons_of(cluster, "apply", "local-path", "--wait", "5m", asked=asked, timeout=400)
    cluster.kubectl("apply", "-f", "-", input=CLAIM)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/writer", f"--timeout={PATIENCE}s", timeout=PATIENCE + 20)
    worker = type(cluster)(lab, "w1")
    assert "kept" in worker.sh("cat /var/lib/volumes/*/file")
    cluster.kubectl("delete", "pod/writer", "pvc/kept", timeout=PATIENCE)
    cluster.until("the folder is gone", lambda: worker.sh("ls /var/lib/volumes") == "")
