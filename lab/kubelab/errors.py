"""The one error that reaches the user: what failed and what to try."""

from __future__ import annotations


class LabError(Exception):
    """A sentence on what failed and why; `remedy` says what to try; `evidence` is what was seen (log lines)."""

    def __init__(self, message: str, remedy: str = "", evidence: str = "", exit_code: int = 1):
        super().__init__(message)
        self.remedy = remedy
        self.evidence = evidence
        self.exit_code = exit_code


class UsageError(LabError):
    """Wrong arguments: exit code 2."""

    def __init__(self, message: str, remedy: str = ""):
        super().__init__(message, remedy, exit_code=2)
