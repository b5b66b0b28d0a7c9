# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0
"""Reads a cluster.yaml: the machines, and the documents beside them. Knows nothing of Ansible.

Fields, rules and words are those of config/inventory.cpp and config/schema.cpp; tests/ansible holds the two against each other.
"""

from __future__ import annotations

import json
import os
import re
import socket
from typing import Callable, NamedTuple

import yaml

GROUP = "kubestrap.io/"
API_VERSION = GROUP + "v1alpha1"
KIND = "Cluster"
BESIDE = {  # what may stand beside the machines; kubestrap init looks at the fields
    "InitConfiguration": "kubeadm.k8s.io/v1beta4",
    "ClusterConfiguration": "kubeadm.k8s.io/v1beta4",
    "KubestrapConfiguration": API_VERSION,
    "KubeletConfiguration": "kubelet.config.k8s.io/v1beta1",
    "KubeProxyConfiguration": "kubeproxy.config.k8s.io/v1alpha1",
}


class Problem(NamedTuple):
    where: str  # "cluster.yaml:5:14"
    field: str  # "hosts[0].address"
    message: str
    expected: str = ""

    def __str__(self):
        expected = " (expected %s)" % self.expected if self.expected else ""
        return ": ".join(part for part in (self.where, self.field, self.message) if part) + expected


class Problems(Exception):
    """All that is wrong with a file."""

    def __init__(self, problems):
        super().__init__("%d problem%s\n%s" % (len(problems), "" if len(problems) == 1 else "s", "\n".join("  " + str(each) for each in problems)))
        self.problems = problems


class NotACluster(Problems):
    """It may be somebody else's file."""


# ---- YAML. A place is the way to it: ("hosts", 0, "address").

TAGS = "tag:yaml.org,2002:"
SCALARS = {
    "null": (r"(?:~|null|Null|NULL|)\Z", ["~", "n", "N", ""]),
    "bool": (r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    "int": (r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z", list("-+0123456789")),
    "float": (r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z", list("-+.0123456789")),
}
NODES = 100000  # that a document may grow to by aliases


class Loader(yaml.SafeLoader):
    """Takes plain scalars by YAML 1.2, as kubestrap does: yes, on, 12:30 and 2026-12-01 stay texts."""

    yaml_implicit_resolvers = {}


for _kind, (_pattern, _first) in SCALARS.items():
    Loader.add_implicit_resolver(TAGS + _kind, re.compile(_pattern), _first)


class Document:
    def __init__(self, source, problems):
        self.source, self.problems = source, problems
        self.value = None
        self.marks = {}  # place -> line and column

    def where(self, place=()):
        """Of the nearest place around it that is known."""
        while place and place not in self.marks:
            place = place[:-1]
        return "%s:%d:%d" % ((self.source,) + self.marks[place])

    def complain(self, place, message, expected=""):
        self.problems.append(Problem(self.where(place), field(place), message, expected))


def field(place):
    text = ""
    for part in place:
        text += "[%d]" % part if isinstance(part, int) else ("." if text else "") + part
    return text


def mark(node):
    return node.start_mark.line + 1, node.start_mark.column + 1


class Reader:
    """Makes a document of what PyYAML has composed, and sees what it lets pass."""

    def __init__(self, source, problems):
        self.document = Document(source, problems)
        self.around = []  # collections that are being read
        self.left = NODES

    def complain(self, node, place, message, expected=""):
        """Of a value; the document itself complains of members, where their keys stand."""
        where = "%s:%d:%d" % ((self.document.source,) + mark(node))
        self.document.problems.append(Problem(where, field(place), message, expected))

    def complain_of_tag(self, node, place):
        self.complain(node, place, "the tag %s is not supported" % node.tag.replace(TAGS, "!!"), "a value without a tag")

    def read(self, node, place=()):
        self.document.marks.setdefault(place, mark(node))
        self.left -= 1
        if self.left < 0:
            raise yaml.MarkedYAMLError(None, None, "aliases make this document grow without end", node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, place)
        if any(node is each for each in self.around):
            return self.complain(node, place, "an alias stands inside of what it repeats")
        if node.tag not in (TAGS + "map", TAGS + "seq"):
            self.complain_of_tag(node, place)
        self.around.append(node)
        made = self.mapping(node, place) if isinstance(node, yaml.MappingNode) else [self.read(each, place + (at,)) for at, each in enumerate(node.value)]
        self.around.pop()
        return made

    def mapping(self, node, place):
        made = {}
        for key, value in node.value:
            wrong = self.wrong_key(key)
            at = place if wrong else place + (key.value,)
            if wrong:
                self.complain(key, at, wrong)
            elif key.value in made:
                self.complain(key, at, 'the key "%s" is given twice, before on line %d' % (key.value, self.document.marks[at][0]))
            else:
                self.document.marks[at] = mark(key)
                made[key.value] = self.read(value, at)
        return made

    @staticmethod
    def wrong_key(node):
        if not isinstance(node, yaml.ScalarNode):
            return "a mapping or a list stands where a key should"
        if node.tag == TAGS + "null":
            return "a key is empty or null: a text that looks like it needs quotes"
        if node.style is None and node.value == "<<":
            return "merge keys (<<) are not supported: write the members out"
        return ""

    def scalar(self, node, place):
        kind, text = node.tag.replace(TAGS, ""), node.value
        if kind == "str":
            return text
        if kind not in SCALARS:
            return self.complain_of_tag(node, place)
        if not re.match(SCALARS[kind][0], text):
            return self.complain(node, place, '"%s" does not fit its tag !!%s' % (text, kind))
        if kind == "bool":
            return text[0] in "tT"
        if kind == "int":
            return self.integer(node, place)
        if kind == "float" and ("n" in text.lower() or float(text) in (float("inf"), float("-inf"))):
            return self.complain(node, place, "%s cannot be expressed in JSON" % text, "a finite number")
        return float(text) if kind == "float" else None

    def integer(self, node, place):
        text = node.value
        if re.match(r"[-+]?0+[1-7][0-7]+\Z", text):
            expected = "0o%s if it is octal, quotes if it is a text" % text.lstrip("+-0")
            self.complain(node, place, "%s is octal to some readers and decimal to others" % text, expected)
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


def documents(text, source, problems):
    """All documents of a file but empty ones."""
    found = []
    try:
        for node in yaml.compose_all(text, Loader=Loader):
            if isinstance(node, yaml.ScalarNode) and node.style is None and not node.value:
                continue
            reader = Reader(source, problems)
            reader.document.value = reader.read(node)
            found.append(reader.document)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        problems.append(Problem("%s:%d:%d" % (source, at.line + 1, at.column + 1), "", error.problem or error.context))
    except yaml.YAMLError as error:  # a character that no text has
        problems.append(Problem(source, "", str(error).splitlines()[0]))
    except RecursionError:
        problems.append(Problem(source, "", "the document is nested too deep", "at most 100 levels"))
    return found


# ---- what a field may be


class Rule(NamedTuple):
    complaint: str  # follows the value
    expected: str
    holds: Callable


class Type(NamedTuple):
    kind: str
    item: object = None  # the type of a list's or mapping's items
    fields: dict = {}  # of a record


class Field(NamedTuple):
    type: Type
    rule: object = None
    required: bool = False


def one_of(*choices):
    return Rule("is not known", "one of %s" % ", ".join(choices), lambda value: value in choices)


def octets(text):
    """An address as the network has it, an IPv4 address that is dressed as IPv6 as IPv4; None where it is no address."""
    if isinstance(text, str) and "\0" not in text:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                found = socket.inet_pton(family, text)
            except (OSError, UnicodeEncodeError):
                continue
            return found[12:] if found[:12] == bytes(10) + b"\xff\xff" else found
    return None


def is_dns_name(text):
    return isinstance(text, str) and len(text) <= 253 and bool(re.match(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*\Z", text))


def is_ssh_word(text):
    """What ssh would take for a flag, or its user's shell for something else, is no name."""
    return isinstance(text, str) and text.isascii() and bool(re.match(r"(?!-)[^\x00-\x20\x7f'\"`$\\|;&<>(){}]+\Z", text))


IP_ADDRESS = Rule("is not an IP address", "an address like 10.0.0.11 or fd00::11", lambda value: octets(value) is not None)
DNS_NAME = Rule("is not a DNS name", "lower-case letters, digits, dashes and dots, like example.org", is_dns_name)
PORT = Rule("is not a port", "a number from 1 to 65535", lambda value: 0 <= value <= 65535)
SSH_WORD = Rule("is not a name that ssh takes", "a host, address or user without spaces and quotes", is_ssh_word)

TEXT, FLAG, INTEGER, TIME = Type("text"), Type("boolean"), Type("integer"), Type("time")


def record(**fields):
    return Type("record", fields=fields)


TAINT = record(
    key=Field(TEXT, required=True),
    value=Field(TEXT),
    effect=Field(TEXT, one_of("NoSchedule", "PreferNoSchedule", "NoExecute"), required=True),
    timeAdded=Field(TIME),
)
HOST_SSH = record(host=Field(TEXT, SSH_WORD), user=Field(TEXT, SSH_WORD), port=Field(INTEGER, PORT), identityFile=Field(TEXT))
SSH = record(user=Field(TEXT, SSH_WORD), port=Field(INTEGER, PORT), identityFile=Field(TEXT), configFile=Field(TEXT))
HOST = record(
    name=Field(TEXT, DNS_NAME, required=True),
    address=Field(TEXT, IP_ADDRESS, required=True),
    role=Field(TEXT, one_of("control-plane", "worker"), required=True),
    ssh=Field(HOST_SSH),
    labels=Field(Type("map", TEXT)),
    taints=Field(Type("list", TAINT)),
)
CLUSTER = record(
    metadata=Field(record(name=Field(TEXT, DNS_NAME))),
    ssh=Field(SSH),
    binary=Field(TEXT),
    image=Field(TEXT),
    bundle=Field(TEXT),
    offline=Field(FLAG),
    hosts=Field(Type("list", HOST), required=True),
)
# Of the documents beside it only what is taken apart for the roles.
TAKEN_APART = {
    "InitConfiguration": {"nodeRegistration": dict, "nodeRegistration.kubeletExtraArgs": list, "nodeRegistration.ignorePreflightErrors": list, "localAPIEndpoint": dict},
    "ClusterConfiguration": {"kubernetesVersion": str, "clusterName": str},
}
TYPES = {dict: Type("record"), list: Type("list", Type("any")), str: TEXT}


def describe(kind):
    if kind.kind == "map":
        return "a mapping of names to %s" % describe(kind.item)
    if kind.kind == "record":
        return "a mapping%s" % (" with %s" % ", ".join(kind.fields) if 0 < len(kind.fields) <= 4 else "")
    if kind.kind == "list":
        if kind.item.kind == "record":
            return "a list of mappings" + describe(kind.item)[len("a mapping"):]
        return "a list" if kind.item.kind == "any" else "a list of %s" % describe(kind.item)
    return {"text": "text", "boolean": "true or false", "integer": "a whole number", "time": "a time like 2026-11-22T18:46:44Z"}[kind.kind]


def fits(value, kind):
    if kind.kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, {"text": str, "time": str, "boolean": bool, "list": list, "map": dict, "record": dict}[kind.kind])


SHOWN = 60


def shown(value):
    if isinstance(value, str):
        return json.dumps(value[:SHOWN], ensure_ascii=False) + ("..." if len(value) > SHOWN else "")
    return json.dumps(value)


def wrong_type(value):
    name = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping", type(None): "null"}[type(value)]
    return "%s stands here" % name if isinstance(value, (list, dict)) else "%s is %s" % (shown(value), name)


def expected_instead(value, kind):
    return "text; put it in quotes" if kind is TEXT and not isinstance(value, (list, dict)) else describe(kind)


def distance(one, other):
    """How many letters have to be put in, left out, changed or swapped."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, against in enumerate(other, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != against)))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                row[j] = min(row[j], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def place_below(kind, name):
    """Where a field of that name is known: people forget a level."""
    for inner, one in kind.fields.items():
        if name in one.type.fields:
            return inner
        below = place_below(one.type, name)
        if below:
            return "%s.%s" % (inner, below)
    return ""


def unknown_field(kind, name):
    near = sorted((distance(name.lower(), known.lower()), at, known) for at, known in enumerate(kind.fields))
    if near and near[0][0] <= len(name) // 3:
        return 'unknown field; did you mean "%s"?' % near[0][2]
    below = place_below(kind, name)
    return 'unknown field; it belongs into "%s"' % below if below else "unknown field"


def check(document, value, kind, place=()):
    """Complains of all that does not fit."""
    if kind.kind == "record":
        return check_record(document, value, kind, place)
    members = enumerate(value) if kind.kind == "list" else value.items() if kind.kind == "map" else ()
    for at, member in members:
        if kind.kind == "map" and member is None:
            continue
        if fits(member, kind.item):
            check(document, member, kind.item, place + (at,))
        else:
            document.complain(place + (at,), wrong_type(member), expected_instead(member, kind.item))


def check_record(document, value, kind, place):
    for name, member in value.items():
        at = place + (name,)
        if not place and name in ("apiVersion", "kind"):
            continue
        one = kind.fields.get(name)
        if one is None:
            document.complain(at, unknown_field(kind, name))
        elif member is None or (member == "" and one.type is TEXT and not one.required):
            continue
        elif not fits(member, one.type):
            document.complain(at, wrong_type(member), expected_instead(member, one.type))
        elif one.type is TIME and not re.match(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[-+]\d\d:\d\d)\Z", member):
            document.complain(at, "%s is not %s" % (shown(member), describe(TIME)))
        elif one.rule and not one.rule.holds(member):
            document.complain(at, "%s %s" % (shown(member), one.rule.complaint), one.rule.expected)
        else:
            check(document, member, one.type, at)
    for name, one in kind.fields.items():
        if one.required and value.get(name) is None:
            document.complain(place + (name,), "missing", describe(one.type))


# ---- the whole file


def hosts_of(value):
    """Those that are mappings, with their place in the list."""
    hosts = value.get("hosts")
    return [(at, host) for at, host in enumerate(hosts if isinstance(hosts, list) else []) if isinstance(host, dict)]


def check_together(document, warnings):
    """What concerns several machines: names and addresses that are there twice, control planes."""
    for member, same in (("name", lambda text: text if isinstance(text, str) else None), ("address", octets)):
        seen = {}
        for at, host in hosts_of(document.value):
            key = same(host.get(member))
            if key and seen.setdefault(key, at) != at:
                told = host[member] if member == "name" else canonical(key)
                document.complain(("hosts", at, member), "%s is that of hosts[%d], too" % (told, seen[key]), "each of them once")
    count = sum(host.get("role") == "control-plane" for at, host in hosts_of(document.value))
    if count == 0:
        document.complain(("hosts",), "none of them is a control plane", "one host, or three, of role control-plane")
    elif count % 2 == 0:
        lost = "%d of them %s lost, as with %d" % (count // 2, "is" if count == 2 else "are", count - 1)
        warnings.append("%d control planes: etcd stops when %s; an odd number bears more" % (count, lost))


def canonical(address):
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def check_beside(document, kind):
    for path, wanted in TAKEN_APART.get(kind, {}).items():
        place = tuple(path.split("."))
        value = document.value
        for part in place:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, wanted):
            document.complain(place, wrong_type(value), expected_instead(value, TYPES[wanted]))


def recognise(document, seen):
    """The kind, when it is one that has its place here."""
    value = document.value if isinstance(document.value, dict) else {}
    version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str) or not version or not kind:
        document.problems.append(Problem(document.where(), "", "the document does not say what it is", "apiVersion and kind, as text"))
        return None
    known = dict(BESIDE, **{KIND: API_VERSION})
    if kind not in known:
        document.complain(("kind",), "%s has no place beside a %s" % (kind, KIND), "one of %s" % ", ".join(known))
    elif version != known[kind]:
        document.complain(("apiVersion",), "%s is not of %s" % (kind, version), known[kind])
    elif kind in seen:
        problem = Problem(document.where(), "kind", "a second %s; the first stands at %s" % (kind, seen[kind].where()), "one document of each kind")
        document.problems.append(problem)
    else:
        return kind
    return None


class ClusterFile:
    """What a file says, once it is known to be right."""

    def __init__(self, folder, cluster, beside, warnings):
        self.folder, self.cluster, self.beside, self.warnings = folder, cluster, beside, warnings

    @property
    def name(self):
        named = (self.cluster.get("metadata") or {}).get("name")
        return named or self.beside.get("ClusterConfiguration", {}).get("clusterName") or "kubernetes"

    @property
    def hosts(self):
        return self.cluster["hosts"]

    @property
    def ssh(self):
        return self.cluster.get("ssh") or {}

    @property
    def version(self):
        """Of Kubernetes, with its v; empty where the file does not say."""
        said = self.beside.get("ClusterConfiguration", {}).get("kubernetesVersion") or ""
        return said if said.startswith("v") or not said else "v" + said

    def beside_it(self, path):
        """A path of the file: from the file's folder, where it does not begin in somebody's home."""
        return path if path.startswith("~") else os.path.join(self.folder, path)


def no_cluster(found, source):
    where = found[0].where() if found else source
    return Problem(where, "kind", "there is no document of kind %s" % KIND, "apiVersion: %s and kind: %s, with hosts" % (API_VERSION, KIND))


VERSION = r"v?\d+\.\d+\.\d+(?:[-+].*)?\Z"


def read(path):
    """Raises Problems with everything that is wrong."""
    source, problems, warnings = os.path.basename(path), [], []
    with open(path, "rb") as file:
        octets_of_file = file.read()
    try:
        text = octets_of_file.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Problems([Problem(source, "", "an octet that is not UTF-8 (0x%02x) is no part of a text" % error.object[error.start], "UTF-8")]) from error
    found = documents(text, source, problems)
    if GROUP not in text:
        raise NotACluster([no_cluster(found, source)])
    if problems:
        raise Problems(problems)
    seen = {}
    for document in found:
        kind = recognise(document, seen)
        if kind:
            seen[kind] = document
    for kind, document in seen.items():
        if kind == KIND:
            check(document, document.value, CLUSTER)
            check_together(document, warnings)
        else:
            check_beside(document, kind)
    if KIND not in seen:
        problems.append(no_cluster(found, source))
    version = seen["ClusterConfiguration"].value.get("kubernetesVersion") if "ClusterConfiguration" in seen else None
    if isinstance(version, str) and version and not re.match(VERSION, version):
        expected = "a version like v1.37.2: the roles compare it with the one that runs"
        seen["ClusterConfiguration"].complain(("kubernetesVersion",), "%s is not a version" % shown(version), expected)
    if problems:
        raise Problems(problems)
    beside = {kind: {name: value for name, value in one.value.items() if name not in ("apiVersion", "kind")} for kind, one in seen.items()}
    return ClusterFile(os.path.dirname(os.path.abspath(path)), beside.pop(KIND), beside, warnings)
