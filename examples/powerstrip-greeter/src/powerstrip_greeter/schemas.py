"""What goes in and out of the routes."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, Field

from powerstrip_greeter.domain import Language

Name = Annotated[str, Path(min_length=1, max_length=100, description="Who is greeted.", examples=["Ada"])]
LanguageQuery = Annotated[
    str | None, Query(max_length=10, description="ISO 639-1 code of the language.", examples=["fr"])
]


class Greeting(BaseModel):
    """What somebody is told."""

    message: str = Field(description="The greeting.", examples=["Bonjour, Ada!"])
    language: Language = Field(description="Its language, as an ISO 639-1 code.", examples=["fr"])


class Summary(BaseModel):
    """What the greeter can do and has done."""

    languages: list[Language] = Field(description="The languages that it speaks.", examples=[["en", "fr"]])
    greeted: int = Field(description="How many people were greeted since it started.", examples=[3])
