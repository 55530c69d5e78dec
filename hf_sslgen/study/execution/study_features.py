"""Where a study keeps the outputs of frozen trunks."""

from hf_sslgen.analysis.feature_store import FeatureStore
from hf_sslgen.study.cells.store import Store


def study_features(store: Store) -> FeatureStore | None:
    """Return the feature store in a study's folder, with the study's limit; None if it keeps none."""
    limit = store.feature_cache_gb
    return FeatureStore(store.features, round(limit * 1e9)) if limit > 0 else None
