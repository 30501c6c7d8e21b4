"""For all tests: where a change is judged, properties try the same examples every time.

Elsewhere they try new ones on each run, so that what nobody thought of is found by somebody who can
look into it.
"""

import os

from hypothesis import settings

settings.register_profile("judge", derandomize=True, database=None)

if os.environ.get("CI"):
    settings.load_profile("judge")
