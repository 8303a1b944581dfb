CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    order_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    method TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount_minor INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN (
        'created', 'captured', 'declined', 'cancelled', 'partially_refunded', 'refunded', 'refund_due')),
    captured_minor INTEGER NOT NULL CHECK (captured_minor IN (0, amount_minor)),
    refunded_minor INTEGER NOT NULL CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    failure_code TEXT,
    failure_detail TEXT,
    cancellation TEXT,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    CHECK (amount_minor > 0 OR status = 'cancelled'),
    CHECK ((status IN ('created', 'declined', 'cancelled')) = (captured_minor = 0)),
    CHECK (status <> 'captured' OR refunded_minor = 0),
    CHECK (status <> 'partially_refunded' OR refunded_minor BETWEEN 1 AND captured_minor - 1),
    CHECK ((status = 'refunded') = (captured_minor > 0 AND refunded_minor = captured_minor)),
    CHECK ((status = 'declined') = (failure_code IS NOT NULL)),
    CHECK ((failure_code IS NULL) = (failure_detail IS NULL))
) STRICT;

-- Cancellations that a crash left half done, which the sweep finishes.
CREATE INDEX payments_being_cancelled ON payments (updated_at)
    WHERE cancellation IS NOT NULL AND status IN ('created', 'captured', 'partially_refunded');

CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    reason TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded')),
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX refunds_by_payment ON refunds (payment_id);
CREATE INDEX refunds_pending ON refunds (created_at) WHERE status = 'pending';

CREATE TABLE outbox (position INTEGER PRIMARY KEY, event TEXT NOT NULL) STRICT;

CREATE TRIGGER payments_begin BEFORE INSERT ON payments
WHEN NEW.status NOT IN ('created', 'cancelled') OR NEW.version <> 1
BEGIN
    SELECT RAISE(ABORT, 'a payment begins as created, or as cancelled before it was asked for');
END;

-- A writer that decided on an older version than the stored one lost a race, and its whole batch fails.
CREATE TRIGGER payments_version BEFORE UPDATE ON payments
WHEN NEW.version <> OLD.version + 1
BEGIN
    SELECT RAISE(ABORT, 'stale payment');
END;

CREATE TRIGGER payments_status BEFORE UPDATE OF status ON payments
WHEN NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (VALUES
    ('created', 'captured'), ('created', 'declined'), ('created', 'cancelled'),
    ('captured', 'partially_refunded'), ('captured', 'refunded'), ('captured', 'refund_due'),
    ('partially_refunded', 'refunded'), ('partially_refunded', 'refund_due'), ('refund_due', 'refunded'))
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a payment''s status');
END;

CREATE TRIGGER payments_refunded BEFORE UPDATE OF refunded_minor ON payments
WHEN NEW.refunded_minor <> (
    SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = NEW.id AND status = 'succeeded')
BEGIN
    SELECT RAISE(ABORT, 'what is refunded differs from the sum of the refunds');
END;

CREATE TRIGGER payments_terms BEFORE UPDATE OF
    id, idempotency_key, order_id, provider, method, currency, amount_minor, created_at ON payments
BEGIN
    SELECT RAISE(ABORT, 'what was asked for does not change');
END;

CREATE TRIGGER payments_kept BEFORE DELETE ON payments
BEGIN
    SELECT RAISE(ABORT, 'payments are kept');
END;

-- Pending refunds count: two that run at once can never give back more than was captured.
CREATE TRIGGER refunds_begin BEFORE INSERT ON refunds
WHEN NEW.status <> 'pending' OR NEW.amount_minor > (
    SELECT captured_minor - (SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = NEW.payment_id)
    FROM payments WHERE id = NEW.payment_id)
BEGIN
    SELECT RAISE(ABORT, 'more would be refunded than was captured');
END;

CREATE TRIGGER refunds_status BEFORE UPDATE ON refunds
WHEN (OLD.status, NEW.status) NOT IN (VALUES ('pending', 'succeeded'))
    OR (OLD.id, OLD.payment_id, OLD.amount_minor, OLD.reason, OLD.created_at)
        <> (NEW.id, NEW.payment_id, NEW.amount_minor, NEW.reason, NEW.created_at)
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a refund');
END;

CREATE TRIGGER refunds_kept BEFORE DELETE ON refunds
BEGIN
    SELECT RAISE(ABORT, 'refunds are kept');
END;
