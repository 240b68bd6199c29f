"""Information and referral: where help is, in both languages. Importing this declares the whole service."""

from services.information_referral import directory, hsds_api, models, nearby, search, seeds
from services.information_referral.subgraph import service

__all__ = ["directory", "hsds_api", "models", "nearby", "search", "seeds", "service"]
