"""`python -m na64root.analyze` is `na64root analyze`."""

import sys

from ..cli import main

sys.argv.insert(1, "analyze")
sys.exit(main())
