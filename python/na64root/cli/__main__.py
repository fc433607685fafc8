"""`python -m na64root.cli VERB` is `na64root VERB`."""

import sys

from .program import main

sys.exit(main())
