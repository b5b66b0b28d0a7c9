"""Puts kubestrap's own container image together from distribution packages. See image/README.md.

Works with the lab's modules for archives, caches and programs; Python's standard library only.
"""
