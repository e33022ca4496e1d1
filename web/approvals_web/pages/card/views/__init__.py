"""Views of arguments by their shape: money, SQL, a change of text, a table. The value alone chooses, never what
an agent or a server calls it. Pure; what no kind knows stays in the tree.

A view helps to read. All that is approved is in the tree or in the raw view below it, and a view says what it cuts.
"""

import itertools
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from approvals_web.pages.card.views import change, money, sql, table
from approvals_web.pages.card.views.places import places

MAX_VIEWS = 6

View = money.Money | sql.Sql | change.Change | table.Table
_KINDS = (table.found, sql.found, change.found)


def views(arguments: object, formats: Mapping[str, str] = MappingProxyType({})) -> tuple[list[View], bool]:
    """The first MAX_VIEWS views of encoded arguments, in reading order, and whether there would be more. Each costs
    time, so no more are made than are shown. `formats` are those of the accepted summary."""
    everywhere = list(places(arguments))
    amounts = money.found(everywhere, formats)
    every: Iterator[View] = itertools.chain(amounts, itertools.chain.from_iterable(kind(everywhere) for kind in _KINDS))
    found = list(itertools.islice(every, MAX_VIEWS + 1))
    return found[:MAX_VIEWS], len(found) > MAX_VIEWS
