"""Images of another size, by exact area averaging."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def area_weights(size: int, to: int) -> Array:
    """(to, size): the share of each of `to` equal pieces of a line that each of `size` equal pieces covers.

    Rows sum to 1, so a constant stays what it is, however the two sizes divide.

    >>> area_weights(3, 2)
    array([[0.66666667, 0.33333333, 0.        ],
           [0.        , 0.33333333, 0.66666667]])
    """
    old, new = np.arange(size) / size, np.arange(to) / to
    low = np.maximum(old[None, :], new[:, None])
    high = np.minimum(old[None, :] + 1 / size, new[:, None] + 1 / to)
    weights = np.maximum(high - low, 0) * to
    return weights / weights.sum(1, keepdims=True)


def area_average(images: Array, height: int, width: int) -> Array:
    """Images (N, H, W) as (N, height, width): each pixel is the mean over the area that it covers.

    >>> area_average(np.array([[[0.0, 4.0], [8.0, 4.0]]]), 1, 1)
    array([[[4.]]])
    """
    rows, columns = area_weights(images.shape[1], height), area_weights(images.shape[2], width)
    return np.asarray(rows @ images @ columns.T)
