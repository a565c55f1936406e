"""``rank``: attribution methods in the order of their metrics, on a model and images of one's own."""

from kerasal.attribution.ranking.method_ranking import MANY_PASSES, RANK_METRICS, rank
from kerasal.attribution.ranking.ranking_result import Ranking

__all__ = ["MANY_PASSES", "RANK_METRICS", "Ranking", "rank"]


def __dir__() -> list[str]:
    return __all__
