"""``python -m jupyter_federation``: the command of an environment whose commands are not on the path."""

import sys

from jupyter_federation.app import main

sys.exit(main())
