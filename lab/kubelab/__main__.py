"""python3 -m kubelab COMMAND ARGUMENTS..."""

import sys

from .cli import main

sys.exit(main(sys.argv[1:]))
