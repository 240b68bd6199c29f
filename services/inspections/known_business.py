"""The businesses that the registry announced, as far as inspections need them."""

from datetime import datetime

from sqlmodel import Field

from services.inspections.rows import Row, moment


class KnownBusiness(Row, table=True):
    """What this service keeps of a business: enough to schedule a visit, and to know whose it is."""

    __tablename__ = "known_business"

    number: str = Field(primary_key=True)
    name: str
    sector: str
    registered_by: str = Field(index=True)
    registered_at: datetime = moment()
