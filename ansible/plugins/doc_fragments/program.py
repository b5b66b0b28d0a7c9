# Copyright: The kubestrap project
# Apache License 2.0: see LICENSE, or https://www.apache.org/licenses/LICENSE-2.0

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = """
options:
  program:
    description: The kubestrap on the machine.
    type: path
    default: /usr/bin/kubestrap
requirements:
  - kubestrap on the machine, and root
attributes:
  check_mode:
    description: Is C(--dry-run), which touches nothing.
    support: full
  diff_mode:
    description: Shows the plan that C(--dry-run) shows, with the differences of files; secrets are fingerprints.
    support: full
"""

    # Of commands that have phases.
    PHASES = """
options:
  ignore_preflight_errors:
    description: Checks whose errors count as warnings; V(all) for every one.
    type: list
    elements: str
    default: []
  skip_phases:
    description: Phases to leave out.
    type: list
    elements: str
    default: []
"""

    # Of commands that a bundle can go before.
    BUNDLE = """
options:
  bundle:
    description: A bundle on the machine, C(--bundle). What it has is put in its places first.
    type: path
  bundle_without:
    description: Programs of the bundle that are left out, like V(kubestrap).
    type: list
    elements: str
    default: []
  offline:
    description: Whether nothing may be fetched from outside of the cluster, C(--offline). What would have to be fetched is an error.
    type: bool
    default: false
"""
