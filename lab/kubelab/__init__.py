"""The lab: real Kubernetes nodes as namespaced Debian machines on one host.

One module, one subject. `cli` parses commands and calls `lab` (a lab as a whole) and `machines` (one machine's life);
everything below them knows only its own subject. Standard library only: the lab must run on a fresh Debian.
"""
