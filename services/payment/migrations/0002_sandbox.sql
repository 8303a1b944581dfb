-- The sandbox provider's own book. It stands for another company's system: nothing here refers to payments.
CREATE TABLE sandbox_charges (
    position INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('failed', 'charged', 'declined', 'voided')),
    failure_code TEXT,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    CHECK ((status = 'declined') = (failure_code IS NOT NULL))
) STRICT;

CREATE TABLE sandbox_refunds (
    idempotency_key TEXT PRIMARY KEY,
    charge_key TEXT NOT NULL REFERENCES sandbox_charges (idempotency_key),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0)
) STRICT;

CREATE INDEX sandbox_refunds_by_charge ON sandbox_refunds (charge_key);

CREATE TRIGGER sandbox_refunds_begin BEFORE INSERT ON sandbox_refunds
WHEN NEW.amount_minor > coalesce((
    SELECT amount_minor - (
        SELECT coalesce(sum(amount_minor), 0) FROM sandbox_refunds WHERE charge_key = NEW.charge_key)
    FROM sandbox_charges WHERE idempotency_key = NEW.charge_key AND status = 'charged'), 0)
BEGIN
    SELECT RAISE(ABORT, 'the refund is larger than what is left of the charge');
END;
