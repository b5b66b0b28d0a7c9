"""A program in kubestrap's place: it keeps what it is told, and answers what a test wants."""

import json
import sys
from pathlib import Path

PROGRAM = """\
#!{python}
import json, sys, time
words = sys.argv[1:]
text = "" if sys.stdin.isatty() else sys.stdin.read()
documents = [json.loads(line) for line in text.splitlines() if line not in ("", "---")]
with open({told!r}, "a") as file:
    file.write(json.dumps([words, documents]) + "\\n")
with open({answers!r}) as file:
    answers = json.load(file)


def times(key):
    with open({told!r}) as file:
        return sum(set(key.split()) <= set(json.loads(line)[0]) for line in file)


# Of those whose words were all said that which has most of them.
fitting = [key for key in answers if set(key.split()) <= set(words)]
key = max(fitting, key=lambda key: len(key.split()), default="")
answer = answers.get(key, {{"changed": False, "changes": []}})
answer = dict(answer[min(times(key), len(answer)) - 1] if isinstance(answer, list) else answer)
meets, deadline = answer.pop("meets", 0), time.monotonic() + 20
while times(key) < meets:
    if time.monotonic() > deadline:
        sys.exit("nobody else has come")
    time.sleep(0.05)
code, err = answer.pop("code", 0), answer.pop("err", "")
sys.stderr.write(err)
print(json.dumps(answer) if "json" in words else "what there would be")
sys.exit(code or (4 if "--exit-code" in words and answer.get("changed") else 0))
"""


class Pretender:
    def __init__(self, folder: Path, **answers):
        """Answers by the words that ask for them, like {"token list": ...}; `code` and `err` in one are its exit code and standard error, and with `meets` it is
        given once as many have asked. Of a list each time that it is asked for has its own; the last one stays."""
        self.path, self._told, self._answers = folder / "kubestrap", folder / "told", folder / "answers.json"
        self.path.write_text(PROGRAM.format(python=sys.executable, told=str(self._told), answers=str(self._answers)))
        self.path.chmod(0o755)
        self.answer(answers)

    def answer(self, answers: dict) -> None:
        self._answers.write_text(json.dumps(answers))
        self._told.unlink(missing_ok=True)

    @property
    def told(self) -> list:
        """The words and the documents of each time that it was run."""
        return [json.loads(line) for line in self._told.read_text().splitlines()] if self._told.exists() else []
