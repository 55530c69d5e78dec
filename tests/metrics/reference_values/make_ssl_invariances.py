"""Make ssl_invariances.json: the similarity of Ericsson, Gouk and Hospedales (2021), "Why do self-supervised models
transfer?", section 4.1, of seeded features.

    pip install scikit-learn==1.9.1 && python tests/metrics/reference_values/make_ssl_invariances.py

Written anew from the formula: with m and S the mean and the covariance of training features and L L^T = S^-1 the
Cholesky factorisation, the cosine of (m - z) L and (m - z^t) L. `empirical` is that with the sample covariance, as
they have it; `shrunk` with principal components and the covariance of Ledoit and Wolf, both by scikit-learn.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

# training samples, features, dimensions after PCA, images, seed
CASES = ((60, 6, 6, 12, 0), (80, 20, 8, 12, 1), (1000, 4, 4, 12, 2))


def similarity(
    mean: np.ndarray, covariance: np.ndarray, features: np.ndarray, transformed_features: np.ndarray
) -> list[float]:
    factor = np.linalg.cholesky(np.linalg.inv(covariance))
    similarities = []
    for z, z_t in zip(features, transformed_features, strict=True):
        a, b = (mean - z) @ factor, (mean - z_t) @ factor
        similarities.append(float(a @ b / np.sqrt((a @ a) * (b @ b))))
    return similarities


def main() -> None:
    cases = []
    for num_training, num_features, dimension, n, seed in CASES:
        generator = np.random.default_rng(seed)
        basis, _ = np.linalg.qr(generator.normal(size=(num_features, num_features)))
        strength = np.linspace(1.0, 3.0, num_features)
        drawn = generator.normal(size=(num_training + n, num_features)) * strength @ basis + 3.0
        features = np.round(drawn, 4)
        training, z = features[:num_training], features[num_training:]
        z_t = np.round(z + generator.normal(size=z.shape), 4)
        pca = PCA(dimension, svd_solver="full").fit(training)
        estimate = LedoitWolf().fit(pca.transform(training))
        projected = pca.transform(z), pca.transform(z_t)
        cases.append(
            {
                "training_features": training.tolist(),
                "dimension": dimension,
                "features": z.tolist(),
                "transformed_features": z_t.tolist(),
                "shrinkage": float(estimate.shrinkage_),
                "shrunk": similarity(estimate.location_, estimate.covariance_, *projected),
                "empirical": similarity(training.mean(axis=0), np.cov(training, rowvar=False), z, z_t),
            }
        )
    made_by = f"scikit-learn {version('scikit-learn')}, numpy {np.__version__}"
    content = {"made_by": made_by, "cases": cases}
    Path(__file__).with_name("ssl_invariances.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
