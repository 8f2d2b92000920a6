"""A modality's features as constant rows that every step projects."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse
import tensorflow as tf

from addrl_keras.catalogue import Features, normalize_rows

Tensor = Any


class Rows:
    """L2-normalised features, dense or sparse as they are given.

    TensorFlow's product of a matrix in CSR form takes a fraction of the time of its
    `sparse_dense_matmul`. For the gradient, which is a product with the transpose, that one is held
    beside the rows.

    Args:
        features: `[num_items, dim]`; a row of zeros stays one, and is projected to zeros.
    """

    def __init__(self, features: Features) -> None:
        self._is_sparse = not isinstance(features, np.ndarray)
        if isinstance(features, np.ndarray):
            length = np.linalg.norm(features, axis=1, keepdims=True)
            self._rows = tf.constant((features / np.maximum(length, 1e-12)).astype(np.float32))
            return
        rows = normalize_rows(features, order=2)
        self._rows, self._columns = _make_coordinates(rows), _make_coordinates(rows.T)

    def project(self, kernel: Tensor) -> Tensor:
        """Multiplies the rows with a kernel `[dim, width]`: float `[num_items, width]`."""
        if not self._is_sparse:
            return tf.matmul(self._rows, kernel)

        @tf.custom_gradient
        def multiply(kernel: Tensor) -> Any:
            return _multiply(self._rows, kernel), lambda upstream: _multiply(
                self._columns, upstream
            )

        return multiply(tf.identity(kernel))


def _make_coordinates(matrix: scipy.sparse.spmatrix) -> tf.SparseTensor:
    rows = scipy.sparse.csr_matrix(matrix)
    rows.sort_indices()
    entries = rows.tocoo()
    where = np.stack([entries.row, entries.col], axis=1).astype(np.int64)
    return tf.SparseTensor(where, entries.data.astype(np.float32), entries.shape)


def _multiply(matrix: tf.SparseTensor, dense: Tensor) -> Tensor:
    # Its CSR form is made where it is used: a variant made outside of a graph tells no shape in it.
    csr = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=matrix.indices, values=matrix.values, dense_shape=matrix.dense_shape
    )
    product = tf.raw_ops.SparseMatrixMatMul(a=csr, b=dense)
    return tf.ensure_shape(product, (matrix.shape[0], dense.shape[1]))
