"""Python imports this at its start from PYTHONPATH, so that processes which the tests start refuse the network too."""

import refuse  # noqa: F401
