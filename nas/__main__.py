"""`python -m nas` is the `segnas` command."""

import sys

from nas.cli.main import main

sys.exit(main())
