"""Reading the data that ships beside the code: TOML, validated; a bad file says file, place and remedy."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.kit.text import Text

M = TypeVar("M", bound="Part")


class BadData(ValueError):
    """A data file is not what it should be."""


class Part(BaseModel):
    """A part of a file; an unknown name in it is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Both(Part):
    """A text that a file must give in both languages."""

    en: str = Field(min_length=1)
    fr: str = Field(min_length=1)

    def as_text(self) -> Text:
        """The same as a value of data and GraphQL."""
        return Text(en=self.en, fr=self.fr)


def read(path: Path, model: type[M]) -> M:
    """What a file says. Raises BadData."""
    try:
        return model.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: {error}; correct the file") from None
    except ValidationError as error:
        # A misspelled name is both missing and unknown: the unknown one shows the mistake.
        first = sorted(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadData(f"{path}: {place}: {first['msg']}; correct the file") from None
