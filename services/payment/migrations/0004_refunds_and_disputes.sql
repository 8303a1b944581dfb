-- Refunds paid by hand, taken back or withdrawn; disputes that end; bodies of webhooks that are forgotten.
-- SQLite cannot change a CHECK, so the refunds are built anew; no trigger may look at them meanwhile.
DROP TRIGGER payments_status;
DROP TRIGGER payments_refunded;
DROP TRIGGER payments_ledger;
DROP TRIGGER refunds_begin;
DROP TRIGGER refunds_status;
DROP TRIGGER refunds_kept;
DROP TRIGGER webhooks_status;

ALTER TABLE refunds RENAME TO refunds_before;

CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    reason TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('refund', 'chargeback')),
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'due', 'withdrawn')),
    provider_reference TEXT,
    detail TEXT,
    settlement TEXT,
    created_at TEXT NOT NULL,
    CHECK ((status = 'due') = (detail IS NOT NULL)),
    CHECK (settlement IS NULL OR (status = 'succeeded' AND kind = 'refund')),
    CHECK (kind = 'refund' OR (status = 'succeeded' AND provider_reference IS NOT NULL))
) STRICT;

INSERT INTO refunds (id, payment_id, amount_minor, reason, kind, status, provider_reference, detail, created_at)
SELECT id, payment_id, amount_minor, reason, 'refund', status, provider_reference, detail, created_at
FROM refunds_before ORDER BY rowid;

DROP TABLE refunds_before;

CREATE INDEX refunds_by_payment ON refunds (payment_id);
CREATE INDEX refunds_by_provider_reference ON refunds (provider_reference) WHERE provider_reference IS NOT NULL;
CREATE INDEX refunds_by_time ON refunds (created_at, id);
CREATE INDEX refunds_by_status ON refunds (status, created_at, id);
CREATE INDEX webhooks_with_body ON webhooks (received_at) WHERE status = 'done' AND body <> '';

-- A dispute is looked at until it ends.
INSERT INTO looks (payment_id, look_at, looks)
SELECT id, updated_at, 0 FROM payments WHERE status = 'disputed' ON CONFLICT (payment_id) DO NOTHING;

CREATE TRIGGER payments_status BEFORE UPDATE OF status ON payments
WHEN NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (VALUES
    ('created', 'pending'), ('created', 'authorised'), ('created', 'captured'), ('created', 'declined'),
    ('created', 'expired'), ('created', 'cancelled'),
    ('pending', 'authorised'), ('pending', 'captured'), ('pending', 'declined'), ('pending', 'expired'),
    ('pending', 'cancelled'),
    ('authorised', 'captured'), ('authorised', 'declined'), ('authorised', 'expired'), ('authorised', 'cancelled'),
    ('declined', 'captured'), ('expired', 'captured'), ('cancelled', 'captured'),
    ('captured', 'partially_refunded'), ('captured', 'refunded'), ('captured', 'refund_due'),
    ('captured', 'disputed'),
    ('partially_refunded', 'refunded'), ('partially_refunded', 'refund_due'), ('partially_refunded', 'disputed'),
    ('refund_due', 'partially_refunded'), ('refund_due', 'refunded'), ('refund_due', 'disputed'),
    ('refunded', 'refund_due'),
    ('disputed', 'captured'), ('disputed', 'partially_refunded'), ('disputed', 'refunded'), ('disputed', 'refund_due'))
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a payment''s status');
END;

CREATE TRIGGER payments_refunded BEFORE UPDATE OF status, captured_minor, refunded_minor ON payments
WHEN NEW.refunded_minor <> (
        SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = NEW.id AND status = 'succeeded')
    OR (NEW.status IN ('captured', 'partially_refunded', 'refund_due') AND (NEW.status = 'refund_due') <> EXISTS (
        SELECT 1 FROM refunds WHERE payment_id = NEW.id AND status = 'due'))
BEGIN
    SELECT RAISE(ABORT, 'what is refunded differs from the sum of the refunds');
END;

-- What staff pay by hand does not come from the provider, and a chargeback is paid from there like a refund.
CREATE TRIGGER payments_ledger BEFORE UPDATE OF status, captured_minor, refunded_minor ON payments
WHEN NEW.captured_minor - NEW.refunded_minor <> (
    SELECT coalesce(sum(
            CASE WHEN to_account IN ('provider:' || NEW.provider, 'paid_by_hand') THEN amount_minor ELSE 0 END
            - CASE WHEN from_account IN ('provider:' || NEW.provider, 'paid_by_hand') THEN amount_minor ELSE 0 END), 0)
    FROM transfers WHERE payment_id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'what is held differs from the ledger');
END;

-- Pending and due refunds count: two that run at once can never give back more than was captured. What a lost dispute
-- has taken is gone when it is heard of, and takes the place of what was withdrawn for it.
CREATE TRIGGER refunds_begin BEFORE INSERT ON refunds
WHEN NEW.status <> iif(NEW.kind = 'chargeback', 'succeeded', 'pending') OR NEW.amount_minor > (
    SELECT captured_minor - (SELECT coalesce(sum(amount_minor), 0) FROM refunds
        WHERE payment_id = NEW.payment_id AND status <> 'withdrawn')
    FROM payments WHERE id = NEW.payment_id)
BEGIN
    SELECT RAISE(ABORT, 'more would be refunded than was captured');
END;

CREATE TRIGGER refunds_status BEFORE UPDATE ON refunds
WHEN (OLD.status, NEW.status) NOT IN (VALUES
        ('pending', 'pending'), ('pending', 'succeeded'), ('pending', 'due'), ('pending', 'withdrawn'),
        ('due', 'succeeded'), ('due', 'withdrawn'), ('succeeded', 'due'))
    OR (OLD.status <> 'due' AND NEW.settlement IS NOT NULL) OR OLD.settlement IS NOT NULL
    OR (OLD.id, OLD.payment_id, OLD.amount_minor, OLD.reason, OLD.kind, OLD.created_at)
        <> (NEW.id, NEW.payment_id, NEW.amount_minor, NEW.reason, NEW.kind, NEW.created_at)
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a refund');
END;

CREATE TRIGGER refunds_kept BEFORE DELETE ON refunds
BEGIN
    SELECT RAISE(ABORT, 'refunds are kept');
END;

-- The body of one that is done may be forgotten; what it is known by stays.
CREATE TRIGGER webhooks_status BEFORE UPDATE ON webhooks
WHEN (OLD.status, NEW.status) NOT IN (VALUES
        ('received', 'received'), ('received', 'done'), ('received', 'failed'), ('failed', 'failed'), ('failed', 'done'),
        ('done', 'done'))
    OR (OLD.id, OLD.provider, OLD.event_id, OLD.notice, OLD.received_at)
        <> (NEW.id, NEW.provider, NEW.event_id, NEW.notice, NEW.received_at)
    OR (OLD.body <> NEW.body AND (OLD.status <> 'done' OR NEW.body <> ''))
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a webhook');
END;
