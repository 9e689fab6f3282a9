"""What ``tools/study.py`` trains, one module a study, and the tables that it writes."""

from .definition import Study
from .nyuv2 import STUDY as NYUV2
from .street import STUDY as STREET

STUDIES: dict[str, Study] = {"street": STREET, "nyuv2": NYUV2}
