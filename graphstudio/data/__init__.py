"""Data sources: what a project can learn from, one file each in ``catalog/``.

Importing this package, listing the sources and describing one loads neither NumPy nor
scikit-learn, so that the checker and the inspector stay quick; ``load`` brings the arrays.
"""

from graphstudio.data.source import (
    DataError,
    DataSet,
    Progress,
    Source,
    describe,
    find_source,
    load,
    missing,
    problem_of,
    python_loader,
    sources,
)

__all__ = [
    "DataError",
    "DataSet",
    "Progress",
    "Source",
    "describe",
    "find_source",
    "load",
    "missing",
    "problem_of",
    "python_loader",
    "sources",
]
