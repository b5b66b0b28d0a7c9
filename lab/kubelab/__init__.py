"""The lab: real Kubernetes nodes as namespaced Debian machines on one host.

One module, one subject. `cli` parses commands, `operations` is each command as a sequence, `machine` one machine's life;
everything below them knows only its own subject. Standard library only: the lab must run on a fresh Debian.
"""
