"""What the plugin answers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from powerstrip import NotFound, public, responses, service
from powerstrip_greeter.domain import Language
from powerstrip_greeter.errors import UnknownLanguageError
from powerstrip_greeter.schemas import Greeting, LanguageQuery, Name, Summary
from powerstrip_greeter.service import Greetings

router = APIRouter(prefix="/greetings", tags=["greeter"], dependencies=[Depends(public)])

TheGreetings = Annotated[Greetings, Depends(service(Greetings))]


class LanguageUnknown(NotFound):
    message = "Greetings are not known in this language."


def language_unknown(error: UnknownLanguageError) -> LanguageUnknown:
    """The service's error as clients see it."""
    return LanguageUnknown(details=[{"language": error.language}])


@router.get("")
async def read_summary(greetings: TheGreetings) -> Summary:
    """What the greeter can do, and how many people it greeted."""
    return Summary(languages=list(Language), greeted=greetings.greeted)


@router.get("/{name}", responses=responses(LanguageUnknown))
async def greet(name: Name, greetings: TheGreetings, response: Response, language: LanguageQuery = None) -> Greeting:
    """Greet somebody."""
    message, spoken = greetings.greet(name, language)
    response.headers["Content-Language"] = spoken
    return Greeting(message=message, language=spoken)
