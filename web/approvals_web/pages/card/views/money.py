"""An amount of money beside its currency."""

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from approvals.service.tools.summary import money
from approvals_web.pages.card.views.places import Place

_WHOLE = {"JPY", "KRW", "VND", "CLP", "ISK"}
"""Currencies without a smaller unit."""
_MANY = "USD EUR GBP CHF SEK NOK DKK PLN CZK HUF RON AUD NZD CAD MXN BRL INR CNY HKD SGD ZAR TRY ILS AED THB"
_CURRENCIES = _WHOLE.union(_MANY.split(" "))
_MINOR = re.compile(r"(?:^|_)(?:cents?|minor|pence)$")
_AMOUNT = re.compile(r"^(?:amount|total|price|sum)(?:_(?:cents?|minor|pence))?$")


@dataclass(frozen=True)
class Money:
    """As read: `words` is what a person says, `note` what could not be known."""

    path: str
    words: str
    note: str = ""
    kind: str = "money"
    covers: tuple[str, ...] = ()
    """Its parts stay in the tree."""
    cut: bool = False

    @property
    def label(self) -> str:
        """An amount's path without the unit that the call counts in: what is shown is not in cents."""
        return _MINOR.sub("", self.path) or self.path


def found(everywhere: list[Place], formats: Mapping[str, str] = MappingProxyType({})) -> Iterator[Money]:
    """Amounts, one of an object and none within lists, which are tables: a number that the accepted summary knows as
    money (`formats`), or one under such a name, or beside a currency that is known."""
    for place in everywhere:
        if isinstance(place.value, dict) and not place.listed:
            yield from itertools.islice(_amounts(place, formats), 1)


def _amounts(place: Place, formats: Mapping[str, str]) -> Iterator[Money]:
    for key, value in place.value.items():
        form = formats.get(place.below(key))
        if form is not None and isinstance(value, int) and not isinstance(value, bool):
            yield Money(place.below(key), money(value, form))
    currency = _currency(place.value)
    for key, value in place.value.items():
        amount = _amount(value) if _AMOUNT.match(key.lower()) else None
        if amount is not None and (currency or _MINOR.search(key.lower())):
            yield _money(place.below(key), key, value, amount, currency)


def _money(path: str, key: str, value: object, amount: Decimal, currency: str) -> Money:
    code = currency or "(no currency given)"
    if _MINOR.search(key.lower()) and currency not in _WHOLE:
        return Money(path, f"{amount / 100:,.2f} {code}")
    if isinstance(value, int) and currency not in _WHOLE:
        return Money(path, f"{amount:,} {code}", "Taken as it stands: the call does not say whether it counts cents.")
    return Money(path, f"{amount:,} {code}")


def _amount(value: object) -> Decimal | None:
    """A plain decimal number; no exponent, no infinity, nothing absurdly long."""
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values())) if value.keys() <= {"$int", "$float"} else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value)
    return Decimal(text) if re.fullmatch(r"-?[0-9]{1,15}(?:\.[0-9]{1,6})?", text) else None


def _currency(siblings: Mapping[str, object]) -> str:
    for key, value in siblings.items():
        if key.lower() in {"currency", "currency_code"} and isinstance(value, str) and value.upper() in _CURRENCIES:
            return value.upper() if value.isascii() else ""
    return ""
