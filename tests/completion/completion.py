#!/usr/bin/env python3
"""Loads the script of `kubestrap completion SHELL` into that shell and asks it what it offers.

    completion.py SHELL PROGRAM

Exit code 77: the shell is not installed.
"""
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

# The words before the cursor, the last one being typed; and what is offered.
CASES = [
    (["in"], {"init"}),
    (["init", "phase", "kubeconfig", "s"], {"super-admin", "scheduler"}),
    (["init", "--skip-"], {"--skip-certificate-key-print", "--skip-phases", "--skip-token-print"}),
    (["version", "-o", ""], {"text", "json", "yaml"}),
    (["init", "--skip-phases", "preflight,etcd/"], {"preflight,etcd/local"}),
    (["completion", ""], {"bash", "zsh", "fish"}),
    (["token", "list", "zzz"], set()),
]

# What bash's readline does with the function: words in COMP_WORDS, the answer in COMPREPLY.
BASH = """
source "$1"; shift
COMP_WORDS=(kubestrap "$@"); COMP_CWORD=$#
_kubestrap kubestrap "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}"
complete -p kubestrap >/dev/null
"""

# zsh's completion needs a terminal; its function is called as it would be, and what it hands to _describe is shown.
ZSH = """
compdef() { registered=$2 }
_describe() { local one; for one in ${(P)2}; do print -r -- ${${one%%:*}//\\\\/}; done }
source $1; shift
[[ $registered == kubestrap ]] || exit 1
words=(kubestrap "$@") CURRENT=$(($# + 1))
_kubestrap
"""

FISH = """
source $argv[1]
complete -C (string join ' ' -- kubestrap $argv[2..-1])
"""


def offered(shell, script, words):
    program = {"bash": ["bash", "--norc", "-c", BASH, "bash"], "zsh": ["zsh", "-f", "-c", ZSH, "zsh"],
               "fish": ["fish", "--no-config", "-c", FISH]}[shell]
    result = subprocess.run([*program, script, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode != 0 or result.stderr:
        sys.exit(f"{shell} {shlex.join(words)} ended with {result.returncode}:\n{result.stderr}")
    return {line.split("\t")[0] for line in result.stdout.splitlines()}


def main(shell, binary):
    if not shutil.which(shell):
        print(f"{shell} is not installed")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        os.symlink(binary, os.path.join(folder, "kubestrap"))
        os.environ.update(PATH=f"{folder}:{os.environ['PATH']}", HOME=folder)
        script = os.path.join(folder, "script")
        with open(script, "w") as file:
            subprocess.run([binary, "completion", shell], stdout=file, check=True)
        wrong = [f"{shell}: {shlex.join(words)}: offered {sorted(seen)}, expected {sorted(wanted)}" for words, wanted in CASES
                 if (seen := offered(shell, script, words)) != wanted]
    print("\n".join(wrong) or f"{len(CASES)} command lines")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
