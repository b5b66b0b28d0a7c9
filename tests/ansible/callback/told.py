"""Writes what each task said of each host, and the recap, to the file that TOLD names."""

from __future__ import annotations

DOCUMENTATION = """
name: told
type: notification
short_description: What each task said, as JSON
description: For the tests.
"""

import json
import os

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "told"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        self.results = []

    def _add(self, outcome, result):
        # Ansible hands it over as it is shown to people: what no_log hides is hidden.
        self.results.append({"task": result._task.get_name(), "host": result._host.get_name(), "outcome": outcome, "result": result._result})

    def v2_runner_on_ok(self, result):
        self._add("ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._add("failed", result)

    def v2_runner_on_unreachable(self, result):
        self._add("unreachable", result)

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in stats.processed}
        with open(os.environ["TOLD"], "w") as file:
            json.dump({"hosts": hosts, "results": self.results}, file, default=str)
