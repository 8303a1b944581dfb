"""Spending in D1: one statement counts and decides, so that no two orders can both take what is left of a limit.

D1 runs one transaction at a time, and what a statement reads is what was committed before it.
"""

import json
from datetime import datetime

from pydantic import TypeAdapter

from shared_kernel.clock import rfc3339
from shared_kernel.contracts.company import ApproveSpending, SpendOnOrder
from shared_kernel.sql import Database, Statement
from user.domain.spending import APPROVERS, Approval, Spending

_SPENDING = TypeAdapter(Spending)
_APPROVAL = TypeAdapter(Approval)

_RECORD = """json_object(
  'order', json(iif(decision IS NULL, 'null', json_object(
    'order_id', order_id, 'user_id', user_id, 'company_id', company_id,
    'amount', json_object('amount', amount_minor, 'currency', currency)
  ))),
  'decision', decision, 'approver_id', approver_id, 'is_released', json(iif(released_at IS NULL, 'false', 'true'))
)"""

# total() adds in floating point, where SUM could overflow: exact up to 2^53, and above it more than any limit can be.
_AUTHORISE = """
INSERT INTO spending (order_id, company_id, user_id, amount_minor, currency, decision, decided_at)
SELECT ?1, company_id, user_id, ?4, ?5, CASE
    WHEN limit_minor IS NULL THEN 'within_limit'
    WHEN limit_currency <> ?5 THEN 'needs_approval'
    WHEN ?4 + (
      SELECT total(counted.amount_minor) FROM spending AS counted
      WHERE counted.company_id = buyers.company_id AND counted.user_id = buyers.user_id
      AND counted.currency = ?5 AND counted.released_at IS NULL
    ) <= limit_minor THEN 'within_limit'
    ELSE 'needs_approval'
  END, ?6
FROM buyers WHERE company_id = ?2 AND user_id = ?3
ON CONFLICT (order_id) DO NOTHING
"""
_APPROVE = """
UPDATE spending SET decision = 'approved', approver_id = ?3, approved_at = ?5
WHERE order_id = ?1 AND company_id = ?2 AND user_id <> ?3 AND decision = 'needs_approval' AND released_at IS NULL
AND EXISTS (
  SELECT 1 FROM buyers WHERE buyers.company_id = ?2 AND buyers.user_id = ?3
  AND buyers.role IN (SELECT value FROM json_each(?4))
)
"""
_APPROVAL_RECORD = f"""
SELECT json_object(
  'spending', json((SELECT {_RECORD} FROM spending WHERE order_id = ?1)),
  'role', (SELECT role FROM buyers WHERE company_id = ?2 AND user_id = ?3)
) AS approval
"""
_RELEASE = """
INSERT INTO spending (order_id, released_at) VALUES (?, ?)
ON CONFLICT (order_id) DO UPDATE SET released_at = excluded.released_at WHERE spending.released_at IS NULL
"""


class D1Spendings:
    """The port Spendings."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def authorise(self, order: SpendOnOrder, now: datetime) -> Spending | None:
        """The order's id is the key: what is recorded stays, and is read in the same transaction."""
        amount = order.amount
        parameters = (order.order_id, order.company_id, order.user_id, amount.amount, amount.currency, rfc3339(now))
        recorded = Statement(f"SELECT {_RECORD} AS record FROM spending WHERE order_id = ?", (order.order_id,))
        _, outcome = await self._database.batch([Statement(_AUTHORISE, parameters), recorded])
        return _SPENDING.validate_json(str(outcome.rows[0]["record"])) if outcome.rows else None

    async def approve(self, approval: ApproveSpending, now: datetime) -> Approval:
        """Who may is asked in the statement that writes, and told after it."""
        roles = json.dumps(sorted(APPROVERS))
        parameters = (approval.order_id, approval.company_id, approval.approver_id, roles, rfc3339(now))
        told = Statement(_APPROVAL_RECORD, parameters[:3])
        _, outcome = await self._database.batch([Statement(_APPROVE, parameters), told])
        return _APPROVAL.validate_json(str(outcome.rows[0]["approval"]))

    async def approval(self, approval: ApproveSpending) -> Approval:
        """Both in one statement, so that they are of one moment."""
        parameters = (approval.order_id, approval.company_id, approval.approver_id)
        return _APPROVAL.validate_json(await self._database.text(_APPROVAL_RECORD, *parameters) or "")

    async def release(self, order_id: str, now: datetime) -> None:
        """A row, be it only the mark; the first release is the one that is kept."""
        await self._database.batch([Statement(_RELEASE, (order_id, rfc3339(now)))])
