"""Expressions for origins."""

from collections.abc import Callable

from pydantic_core import SchemaError, SchemaValidator, core_schema


def origin_matcher(expression: str) -> Callable[[str], bool]:
    """Makes a function that tells whether a whole origin matches. Raises ValueError for what is no expression.

    It uses the engine of pydantic, which takes linear time. Python's own can be kept busy for
    hours by a short origin that a stranger made up for the expression.
    """
    try:
        validator = SchemaValidator(core_schema.str_schema(pattern=f"^(?:{expression})$", strict=True))
    except SchemaError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"not a regular expression, or one with look-around or back-references: {reason}") from None
    return validator.isinstance_python
