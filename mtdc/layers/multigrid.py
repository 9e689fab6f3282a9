"""A V-cycle over pixels joined in squares: a preconditioner for large sparse systems of a grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

#: Below so many unknowns a system is solved at once.
_DIRECT = 1000
#: Share of the Jacobi step that is taken.
_RELAXATION = 0.8


class _Level(NamedTuple):
    matrix: sparse.csr_array
    step: np.ndarray  # relaxation / diagonal
    joined: np.ndarray  # number of each unknown's square


class Multigrid:
    """One V-cycle: one Jacobi step before and after, unknowns of 2x2 pixels joined to one on the next level.

    Args:
        matrix: ``(N, N)``; rows sum to 0 or more, off the diagonal nothing is above 0, and it is not singular.
        rows, columns: ``(N,)`` pixels of the unknowns.
    """

    def __init__(self, matrix: sparse.csr_array, rows: np.ndarray, columns: np.ndarray) -> None:
        self._levels: list[_Level] = []
        while matrix.shape[0] > _DIRECT:
            rows, columns = rows // 2, columns // 2
            number = rows * (columns.max() + 1) + columns
            _, first, joined = np.unique(number, return_index=True, return_inverse=True)
            joined = joined.ravel()
            self._levels.append(_Level(matrix, _RELAXATION / matrix.diagonal(), joined))
            ones = sparse.csr_array((np.ones(len(joined)), (np.arange(len(joined)), joined)))
            matrix = (ones.T @ matrix @ ones).tocsr()
            rows, columns = rows[first], columns[first]
        self._direct = splu(matrix.tocsc())

    def __call__(self, residual: np.ndarray) -> np.ndarray:
        """About the change that brings the residual to 0: ``(N,)`` to ``(N,)``."""
        return self._cycle(residual.ravel(), 0)

    def _cycle(self, residual: np.ndarray, depth: int) -> np.ndarray:
        if depth == len(self._levels):
            solved: np.ndarray = self._direct.solve(residual)
            return solved
        matrix, step, joined = self._levels[depth]
        change = step * residual
        coarse = self._cycle(np.bincount(joined, residual - matrix @ change), depth + 1)
        change += coarse[joined]
        change += step * (residual - matrix @ change)
        return change
