"""The ledger in D1: its entries are written by the schema itself, and here they are added up."""

from shared_kernel.sql import Database

_BALANCES = """
    SELECT json_object(
        'balanced', json(iif(EXISTS (
            SELECT 1 FROM ledger_entries GROUP BY transfer_id, currency HAVING sum(amount_minor) <> 0
        ), 'false', 'true')),
        'items', json((SELECT json_group_array(json_object(
            'account', account, 'balance', json_object('amount', balance_minor, 'currency', currency)))
            FROM (SELECT account, currency, sum(amount_minor) AS balance_minor FROM ledger_entries
                GROUP BY account, currency ORDER BY account, currency))))"""


class D1Ledger:
    """The ledger of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def balances(self) -> str:
        """The balance of each account and currency, and whether every transfer's entries add up to nothing."""
        return await self._database.text(_BALANCES) or ""
