"""Requests: withdrawn, erased; and where the service is reached."""

from approvals.service.service import Service
from approvals_web.operator.messages.requests import Address, Erase, Withdraw
from approvals_web.operator.operation import Operation, answers
from approvals_web.setting_values import address as checked


@answers(Withdraw)
def withdraw(op: Operation, asked: Withdraw) -> None:
    op.service.withdrawals.by_admin(op.tx, asked.request_id, op.by, asked.reason)


@answers(Erase)
def erase(op: Operation, asked: Erase) -> None:
    op.service.erasures.contents(op.tx, asked.request_id, op.by, "erased on demand")


@answers(Address)
def address(op: Operation, asked: Address) -> str:
    return op.service.public_url


def address_of(service: Service) -> str:
    """Where people reach the service. Raises Invalid where it is told; what tells nobody, such as a freeze, goes on."""
    return checked("APPROVALS_PUBLIC_URL", service.public_url)
