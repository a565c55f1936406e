"""A linear SVM that trains the classifiers of all classes together."""

import numpy as np

_TOLERANCE = 1e-5  # of the largest gradient, relative to that at zero weights
_ACTIVE = 0.1  # share of the training images that are assumed to have a loss at the solution, for the scaling alone


class SquaredHingeSVM:
    """One-vs-rest linear SVM: the minimum of ``|w|² / 2 + c Σ max(0, 1 − y (w x + b))²`` for each class.

    The loss and its minimum are those of scikit-learn's ``LinearSVC``, whose penalty includes the bias ``b`` too.
    ``LinearSVC`` trains the classes one after another by coordinates. L-BFGS on all of them needs products of matrices
    only, and few steps, since the weights are scaled by the Cholesky factor of an approximate Hessian.
    """

    def __init__(self, c: float, max_steps: int):
        self.c, self.max_steps = c, max_steps

    def fit(self, features: np.ndarray, codes: np.ndarray) -> "SquaredHingeSVM":
        """Train on features (N, d), float64, and integer classes (N,)."""
        from scipy.linalg import cholesky, solve_triangular
        from scipy.optimize import minimize

        self.classes = np.unique(codes)
        extended = _append_ones(features)
        hessian = np.eye(extended.shape[1]) + 2 * self.c * _ACTIVE * (extended.T @ extended)
        inverse = solve_triangular(cholesky(hessian), np.eye(len(hessian)))
        scaled, penalty = extended @ inverse, inverse.T @ inverse
        signs = np.where(codes[:, None] == self.classes, 1.0, -1.0)

        def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
            matrix = weights.reshape(scaled.shape[1], -1)
            slack = np.maximum(0, 1 - signs * (scaled @ matrix))
            shrunk = penalty @ matrix
            gradient = shrunk - 2 * self.c * (scaled.T @ (signs * slack))
            return float(0.5 * (matrix * shrunk).sum() + self.c * (slack**2).sum()), gradient.ravel()

        zero = np.zeros(scaled.shape[1] * len(self.classes))
        options = {"gtol": _TOLERANCE * np.abs(loss(zero)[1]).max(), "ftol": 0, "maxiter": self.max_steps}
        self.steps = minimize(loss, zero, jac=True, method="L-BFGS-B", options=options)
        self.weights = inverse @ self.steps.x.reshape(scaled.shape[1], -1)
        return self

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class with the largest value for each row of features."""
        return self.classes[(_append_ones(features) @ self.weights).argmax(axis=1)]


def _append_ones(features: np.ndarray) -> np.ndarray:
    return np.hstack([features, np.ones((len(features), 1))])
