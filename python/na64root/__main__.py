"""`python -m na64root VERB` is `na64root VERB`."""

import sys

from .cli import main

sys.exit(main())
