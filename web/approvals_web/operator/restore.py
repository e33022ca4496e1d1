"""A database that was restored from a back-up: nothing of it runs that may have run since."""

import contextlib
import os
from collections import Counter

from approvals.service.service import Service
from approvals.service.storage.sqlite import Sqlite
from approvals_web.operator.socket import operator_of


def close_restored(service: Service) -> Counter[str]:
    """Let nothing that was open when the back-up was made lead to an execution. Raises Unavailable while a service
    runs on this SQLite file; on PostgreSQL whoever restores has to know."""
    database, became = service.database, Counter[str]()
    with database.only_process() if isinstance(database, Sqlite) else contextlib.nullcontext():
        database.write_now(service.check_key)
        database.write_now(lambda tx: service.restorations.record(tx, operator_of(os.getuid())))
        while closed := database.write_now(service.restorations.close):
            became += closed
        service.link_now()
    return became
