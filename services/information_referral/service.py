"""Information and referral: where help is, in both languages. Importing this declares the whole service."""

from services.information_referral import models
from services.information_referral.subgraph import service

__all__ = ["models", "service"]
