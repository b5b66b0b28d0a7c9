# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0
"""Runs kubestrap for a module and makes its answer Ansible's: what changed, how it differs, why it failed."""

from __future__ import annotations

import json
import os
import re
import tempfile

DONE, FAILED, USAGE, REFUSED, DIFFERS = range(5)  # kubestrap's exit codes
MEANINGS = {
    FAILED: "failed",
    USAGE: "was given something that it does not take",
    REFUSED: "refused, since something stands in the way",
}
TAIL = 12  # lines of evidence in a failure's message; all of them are in its standard error

# What passes by itself where nodes are upgraded one after the other: the node before is not back yet.
PASSING = {"ClusterAnswers", "ControlPlaneNodesReady", "NodesReady", "EtcdHealthy"}
UNREAD, ABSENT = "the cluster's configuration cannot be read", "is absent"

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
ADMIN_CONF = "/etc/kubernetes/admin.conf"

LISTED = {"ignore_preflight_errors": "--ignore-preflight-errors", "skip_phases": "--skip-phases"}
BUNDLED = {"bundle": {"type": "path"}, "bundle_without": {"type": "list", "elements": "str", "default": []}, "offline": {"type": "bool", "default": False}}


def arguments(*listed, **own):
    """A module's arguments: the program, those of the lists that its command takes, and its own."""
    spec = {"program": {"type": "path", "default": "/usr/bin/kubestrap"}}
    for name in listed:
        spec[name] = {"type": "list", "elements": "str", "default": []}
    spec.update(own)
    return spec


class Program:
    """The kubestrap of this machine, as one module uses it."""

    def __init__(self, module):
        self.module = module
        self._must_be_there()

    def flags(self):
        """Those that may stand beside a configuration file."""
        flags = []
        for name, flag in LISTED.items():
            if self.module.params.get(name):
                flags += [flag, ",".join(self.module.params[name])]
        return flags

    def bundle_flags(self):
        """What a command is told of a bundle, and of the world outside."""
        wish = self.module.params
        flags = ["--offline"] if wish["offline"] else []
        if wish["bundle"]:
            self.wait_for_file(wish["bundle"])
            flags += ["--bundle", wish["bundle"]]
            flags += ["--bundle-without", ",".join(wish["bundle_without"])] if wish["bundle_without"] else []
        return flags

    def wait_for_file(self, path):
        """In check mode an earlier task would have brought it."""
        if self.module.check_mode and not os.path.exists(path):
            self.module.exit_json(changed=True, changes=[], msg="%s is not on this machine yet: what it would bring cannot be told before it is" % path)

    def _must_be_there(self):
        """In check mode the program may be what an earlier task would have brought."""
        path = self.module.params["program"]
        if os.access(path, os.X_OK):
            return
        if self.module.check_mode:
            self.module.exit_json(changed=True, msg="%s is not on this machine yet: what it would do cannot be told before it is" % path)
        self.module.fail_json(msg="there is no program %s: the role kubestrap.kubestrap.prepare brings it" % path)

    def secret_file(self, content):
        """A file that root alone reads, and that goes with the module: arguments of a running program can be seen by everybody."""
        handle, path = tempfile.mkstemp(prefix="kubestrap-", dir=self.module.tmpdir)
        with os.fdopen(handle, "w") as file:
            file.write(content)
        self.module.add_cleanup_file(path)
        return path

    def ask(self, words, documents=None, allowed=(DONE, DIFFERS)):
        """kubestrap's answer as a document, and its exit code. Anything but an allowed code ends the module."""
        code, out, err = self._run(words + ["-o", "json"], documents)
        if code not in allowed:
            self._fail(words, code, out, err)
        try:
            return json.loads(out), code
        except ValueError:
            self.module.fail_json(msg="kubestrap %s did not answer in JSON" % words[0], rc=code, stdout=out, stderr=err)

    def changed(self, words, documents=None, forms=(), planned=(DONE,)):
        """Makes something so, or in check mode says what would be made; what the module is to return.

        `forms` are the words that matter only when it is done, like --yes; `planned` are the codes that its plan may end with.
        """
        diff = self.plan(words, documents, allowed=planned)
        last = ["--dry-run"] if self.module.check_mode else list(forms)
        answer, code = self.ask(words + last + ["--exit-code"], documents)
        if answer["changed"] != (code == DIFFERS):
            self.module.fail_json(msg="kubestrap %s ended with %d, and says changed: %s" % (words[0], code, answer["changed"]), answer=answer)
        return dict(self.result(answer), **diff)

    def plan(self, words, documents=None, allowed=(DONE,)):
        """With --diff: the plan as text, in which the differences of files are; that in JSON has the changes without them."""
        if not self.module._diff:
            return {}
        code, out, err = self._run(words + ["--dry-run"], documents)
        if code not in allowed:
            self._fail(words, code, out, err)
        return {"diff": {"prepared": out}}

    def result(self, answer):
        """What a module returns of kubestrap's answer."""
        changes = [each for each in answer.get("changes", []) if each.get("verb") not in ("keep", "wait")]
        kept = {name: answer[key] for key, name in (("node", "node"), ("steps", "steps"), ("apiGap", "api_gap")) if key in answer}
        for text in answer.get("warnings", []):
            self.module.warn(text)
        return dict(changed=answer["changed"], changes=changes, **kept)

    def _run(self, words, documents):
        text = "".join("---\n%s\n" % json.dumps(document) for document in documents or [])
        return self.module.run_command([self.module.params["program"]] + words, data=text)

    def _fail(self, words, code, out, err):
        """The error is what stands in standard error between the events, which are one JSON record a line."""
        said = [line for line in err.splitlines() if not line.startswith("{")]
        said = "\n".join(said[-TAIL:] or self._errors(out)) or MEANINGS.get(code, "ended with %d" % code)
        msg = "kubestrap %s %s: %s" % (words[0], MEANINGS.get(code, "ended with %d" % code), said)
        self.module.fail_json(msg=msg, rc=code, stdout=out, stderr=err, refused=code == REFUSED, passing=passes(code, said))

    @staticmethod
    def _errors(out):
        """Plans say what stands in the way where all else of them stands."""
        try:
            findings = json.loads(out).get("findings", [])
        except (ValueError, AttributeError):
            return []
        return ["%s: %s (%s)" % (each["name"], each["evidence"], each["remedy"]) for each in findings if each["severity"] == "error"]


def passes(code, said):
    """Whether to wait may help: every gate that refuses opens by itself, or no API server answers just now. Nothing was touched."""
    if code == REFUSED:
        gates = set(re.findall(r"(?m)^ *([A-Z]\w+): ", said))
        return bool(gates) and gates <= PASSING
    return code == FAILED and UNREAD in said and ABSENT not in said


def merged(*parts):
    """Dictionaries laid over each other, deeply; lists and scalars of a later one replace those of an earlier one."""
    result = {}
    for part in parts:
        for key, value in (part or {}).items():
            if isinstance(value, dict) and isinstance(result.get(key), dict):
                result[key] = merged(result[key], value)
            else:
                result[key] = value
    return result
