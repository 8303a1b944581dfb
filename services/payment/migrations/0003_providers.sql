-- Payments that wait, expire and are disputed; why each change was made; the ledger; webhooks; looks to come.
-- SQLite cannot change a CHECK, so the tables are built anew and their rows carried over.
ALTER TABLE payments RENAME TO payments_before;
ALTER TABLE refunds RENAME TO refunds_before;
ALTER TABLE sandbox_charges RENAME TO sandbox_charges_before;
ALTER TABLE sandbox_refunds RENAME TO sandbox_refunds_before;

CREATE TABLE payments (
    id TEXT PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    order_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    method TEXT NOT NULL,
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    amount_minor INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN (
        'created', 'pending', 'authorised', 'captured', 'declined', 'expired', 'cancelled', 'partially_refunded',
        'refunded', 'refund_due', 'disputed')),
    is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    captured_minor INTEGER NOT NULL CHECK (captured_minor IN (0, amount_minor)),
    refunded_minor INTEGER NOT NULL CHECK (refunded_minor BETWEEN 0 AND captured_minor),
    provider_reference TEXT,
    instructions TEXT,
    failure_code TEXT,
    failure_detail TEXT,
    cancellation TEXT,
    cause TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    CHECK (amount_minor > 0 OR status = 'cancelled'),
    CHECK ((status IN ('created', 'pending', 'authorised', 'declined', 'expired', 'cancelled')) = (captured_minor = 0)),
    CHECK (status = 'cancelled' OR (status IN ('created', 'pending', 'authorised')) = (is_open = 1)),
    CHECK (status <> 'captured' OR refunded_minor = 0),
    CHECK (status <> 'partially_refunded' OR refunded_minor BETWEEN 1 AND captured_minor - 1),
    CHECK ((status = 'refunded') = (captured_minor > 0 AND refunded_minor = captured_minor)),
    CHECK (status <> 'pending' OR (provider_reference IS NOT NULL AND instructions IS NOT NULL)),
    CHECK ((status = 'declined') = (failure_code IS NOT NULL)),
    CHECK ((failure_code IS NULL) = (failure_detail IS NULL))
) STRICT;

INSERT INTO payments (id, idempotency_key, order_id, provider, method, currency, amount_minor, status, is_open,
    captured_minor, refunded_minor, failure_code, failure_detail, cancellation, cause, expires_at, created_at,
    updated_at, version)
SELECT id, idempotency_key, order_id, provider, method, currency, amount_minor, status, status = 'created',
    captured_minor, refunded_minor, failure_code, failure_detail, cancellation, 'carried over',
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at, '+1 hour'), created_at, updated_at, version
FROM payments_before;

CREATE TABLE refunds (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    reason TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'succeeded', 'due')),
    provider_reference TEXT,
    detail TEXT,
    created_at TEXT NOT NULL,
    CHECK ((status = 'due') = (detail IS NOT NULL))
) STRICT;

INSERT INTO refunds (id, payment_id, amount_minor, reason, status, created_at)
SELECT id, payment_id, amount_minor, reason, status, created_at FROM refunds_before ORDER BY rowid;

-- Every version that a payment had, and why it came to be; written by the triggers below and by nobody else.
CREATE TABLE payment_changes (
    payment_id TEXT NOT NULL REFERENCES payments (id),
    version INTEGER NOT NULL,
    from_status TEXT,
    to_status TEXT NOT NULL,
    cause TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (payment_id, version)
) STRICT, WITHOUT ROWID;

INSERT INTO payment_changes (payment_id, version, from_status, to_status, cause, at)
SELECT id, version, NULL, status, cause, updated_at FROM payments;

-- One row moves one amount, so that no transfer can be written of which one half is missing; a trigger writes both
-- entries of it, and nothing else can write one.
CREATE TABLE transfers (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payments (id),
    from_account TEXT NOT NULL,
    to_account TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    at TEXT NOT NULL,
    CHECK (from_account <> to_account)
) STRICT;

CREATE INDEX transfers_by_payment ON transfers (payment_id);

CREATE TABLE ledger_entries (
    transfer_id TEXT NOT NULL REFERENCES transfers (id),
    account TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    PRIMARY KEY (transfer_id, account)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER transfers_terms BEFORE INSERT ON transfers
WHEN NEW.currency IS NOT (SELECT currency FROM payments WHERE id = NEW.payment_id)
BEGIN
    SELECT RAISE(ABORT, 'a transfer is in the currency of its payment');
END;

CREATE TRIGGER ledger_entries_balance BEFORE INSERT ON ledger_entries
WHEN NOT EXISTS (
    SELECT 1 FROM transfers WHERE id = NEW.transfer_id AND currency = NEW.currency AND (
        (from_account = NEW.account AND NEW.amount_minor = -amount_minor)
        OR (to_account = NEW.account AND NEW.amount_minor = amount_minor)))
BEGIN
    SELECT RAISE(ABORT, 'an entry is one half of its transfer');
END;

CREATE TRIGGER transfers_entries AFTER INSERT ON transfers
BEGIN
    INSERT INTO ledger_entries (transfer_id, account, currency, amount_minor)
    VALUES (NEW.id, NEW.from_account, NEW.currency, -NEW.amount_minor),
        (NEW.id, NEW.to_account, NEW.currency, NEW.amount_minor);
END;

CREATE TRIGGER transfers_kept BEFORE UPDATE ON transfers
BEGIN
    SELECT RAISE(ABORT, 'the ledger is only added to');
END;

CREATE TRIGGER transfers_not_deleted BEFORE DELETE ON transfers
BEGIN
    SELECT RAISE(ABORT, 'the ledger is only added to');
END;

CREATE TRIGGER ledger_entries_kept BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is only added to');
END;

CREATE TRIGGER ledger_entries_not_deleted BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger is only added to');
END;

INSERT INTO transfers (id, payment_id, from_account, to_account, amount_minor, currency, at)
SELECT id || ':captured', id, 'orders', 'provider:' || provider, captured_minor, currency, updated_at
FROM payments WHERE captured_minor > 0
UNION ALL
SELECT refunds.id || ':succeeded', payments.id, 'provider:' || provider, 'orders', refunds.amount_minor, currency,
    updated_at
FROM refunds JOIN payments ON payments.id = refunds.payment_id WHERE refunds.status = 'succeeded';

-- When reconciliation looks at a payment again, and how often it has since the payment's last change.
CREATE TABLE looks (
    payment_id TEXT PRIMARY KEY REFERENCES payments (id),
    look_at TEXT NOT NULL,
    looks INTEGER NOT NULL CHECK (looks >= 0)
) STRICT, WITHOUT ROWID;

CREATE INDEX looks_by_time ON looks (look_at);

INSERT INTO looks (payment_id, look_at, looks)
SELECT id, updated_at, 0 FROM payments WHERE status = 'created'
    OR (cancellation IS NOT NULL AND status IN ('captured', 'partially_refunded'))
    OR id IN (SELECT payment_id FROM refunds WHERE status = 'pending');

-- What the providers sent, as it came, and what we read in it: it is kept before it has an effect.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    event_id TEXT NOT NULL,
    body TEXT NOT NULL,
    notice TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('received', 'done', 'failed')),
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    failure TEXT,
    received_at TEXT NOT NULL,
    retry_at TEXT,
    UNIQUE (provider, event_id),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK (status <> 'done' OR retry_at IS NULL)
) STRICT;

CREATE INDEX webhooks_by_time ON webhooks (received_at, id);
CREATE INDEX webhooks_by_status ON webhooks (status, received_at, id);
CREATE INDEX webhooks_to_retry ON webhooks (retry_at) WHERE retry_at IS NOT NULL;

CREATE TRIGGER webhooks_status BEFORE UPDATE ON webhooks
WHEN (OLD.status, NEW.status) NOT IN (VALUES
        ('received', 'received'), ('received', 'done'), ('received', 'failed'), ('failed', 'failed'), ('failed', 'done'),
        ('done', 'done'))
    OR (OLD.id, OLD.provider, OLD.event_id, OLD.body, OLD.notice, OLD.received_at)
        <> (NEW.id, NEW.provider, NEW.event_id, NEW.body, NEW.notice, NEW.received_at)
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a webhook');
END;

CREATE TRIGGER webhooks_kept BEFORE DELETE ON webhooks
BEGIN
    SELECT RAISE(ABORT, 'webhooks are kept');
END;

CREATE TABLE sandbox_charges (
    position INTEGER PRIMARY KEY,
    idempotency_key TEXT NOT NULL UNIQUE,
    reference TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('failed', 'waiting', 'charged', 'declined', 'expired', 'voided')),
    failure_code TEXT,
    attempts INTEGER NOT NULL CHECK (attempts >= 0),
    expires_at TEXT NOT NULL,
    CHECK ((status = 'declined') = (failure_code IS NOT NULL))
) STRICT;

INSERT INTO sandbox_charges
SELECT *, strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour') FROM sandbox_charges_before;

CREATE TABLE sandbox_refunds (
    idempotency_key TEXT PRIMARY KEY,
    charge_key TEXT NOT NULL REFERENCES sandbox_charges (idempotency_key),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0)
) STRICT;

INSERT INTO sandbox_refunds SELECT * FROM sandbox_refunds_before;

DROP TABLE sandbox_refunds_before;
DROP TABLE sandbox_charges_before;
DROP TABLE refunds_before;
DROP TABLE payments_before;

CREATE UNIQUE INDEX payments_by_provider_reference ON payments (provider, provider_reference)
    WHERE provider_reference IS NOT NULL;
CREATE INDEX refunds_by_payment ON refunds (payment_id);
CREATE INDEX refunds_by_provider_reference ON refunds (provider_reference) WHERE provider_reference IS NOT NULL;
CREATE INDEX sandbox_refunds_by_charge ON sandbox_refunds (charge_key);

CREATE TRIGGER payments_begin BEFORE INSERT ON payments
WHEN NEW.status NOT IN ('created', 'cancelled') OR NEW.version <> 1 OR NEW.is_open <> (NEW.status = 'created')
BEGIN
    SELECT RAISE(ABORT, 'a payment begins as created, or as cancelled before it was asked for');
END;

CREATE TRIGGER payments_begun AFTER INSERT ON payments
BEGIN
    INSERT INTO payment_changes (payment_id, version, from_status, to_status, cause, at)
    VALUES (NEW.id, NEW.version, NULL, NEW.status, NEW.cause, NEW.updated_at);
END;

-- A writer that decided on an older version than the stored one lost a race, and its whole batch fails.
CREATE TRIGGER payments_version BEFORE UPDATE ON payments
WHEN NEW.version <> OLD.version + 1
BEGIN
    SELECT RAISE(ABORT, 'stale payment');
END;

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
    ('disputed', 'refunded'))
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a payment''s status');
END;

-- What is taken after it was given up is on its way back from the first moment.
CREATE TRIGGER payments_late BEFORE UPDATE OF status ON payments
WHEN OLD.status IN ('declined', 'expired', 'cancelled') AND NEW.status = 'captured' AND NEW.cancellation IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a payment that was given up is captured only to be given back');
END;

CREATE TRIGGER payments_refunded BEFORE UPDATE OF status, captured_minor, refunded_minor ON payments
WHEN NEW.refunded_minor <> (
        SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = NEW.id AND status = 'succeeded')
    OR (NEW.status IN ('captured', 'partially_refunded', 'refund_due') AND (NEW.status = 'refund_due') <> EXISTS (
        SELECT 1 FROM refunds WHERE payment_id = NEW.id AND status = 'due'))
BEGIN
    SELECT RAISE(ABORT, 'what is refunded differs from the sum of the refunds');
END;

CREATE TRIGGER payments_ledger BEFORE UPDATE OF status, captured_minor, refunded_minor ON payments
WHEN NEW.captured_minor - NEW.refunded_minor <> (
    SELECT coalesce(sum(CASE 'provider:' || NEW.provider
        WHEN to_account THEN amount_minor WHEN from_account THEN -amount_minor ELSE 0 END), 0)
    FROM transfers WHERE payment_id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'what is held differs from the ledger');
END;

CREATE TRIGGER payments_terms BEFORE UPDATE OF
    id, idempotency_key, order_id, provider, method, currency, amount_minor, expires_at, created_at ON payments
BEGIN
    SELECT RAISE(ABORT, 'what was asked for does not change');
END;

-- It may grow: a provider's order, then the order and its capture.
CREATE TRIGGER payments_reference BEFORE UPDATE OF provider_reference ON payments
WHEN OLD.provider_reference IS NOT NULL
    AND substr(NEW.provider_reference, 1, length(OLD.provider_reference)) IS NOT OLD.provider_reference
BEGIN
    SELECT RAISE(ABORT, 'the provider''s reference does not change');
END;

CREATE TRIGGER payments_changed AFTER UPDATE ON payments
BEGIN
    INSERT INTO payment_changes (payment_id, version, from_status, to_status, cause, at)
    VALUES (NEW.id, NEW.version, OLD.status, NEW.status, NEW.cause, NEW.updated_at);
END;

CREATE TRIGGER payments_kept BEFORE DELETE ON payments
BEGIN
    SELECT RAISE(ABORT, 'payments are kept');
END;

CREATE TRIGGER payment_changes_kept BEFORE UPDATE ON payment_changes
BEGIN
    SELECT RAISE(ABORT, 'the history of a payment is only added to');
END;

CREATE TRIGGER payment_changes_not_deleted BEFORE DELETE ON payment_changes
BEGIN
    SELECT RAISE(ABORT, 'the history of a payment is only added to');
END;

-- Pending and due refunds count: two that run at once can never give back more than was captured.
CREATE TRIGGER refunds_begin BEFORE INSERT ON refunds
WHEN NEW.status <> 'pending' OR NEW.amount_minor > (
    SELECT captured_minor - (SELECT coalesce(sum(amount_minor), 0) FROM refunds WHERE payment_id = NEW.payment_id)
    FROM payments WHERE id = NEW.payment_id)
BEGIN
    SELECT RAISE(ABORT, 'more would be refunded than was captured');
END;

CREATE TRIGGER refunds_status BEFORE UPDATE ON refunds
WHEN (OLD.status, NEW.status) NOT IN (VALUES
        ('pending', 'pending'), ('pending', 'succeeded'), ('pending', 'due'), ('due', 'succeeded'))
    OR (OLD.id, OLD.payment_id, OLD.amount_minor, OLD.reason, OLD.created_at)
        <> (NEW.id, NEW.payment_id, NEW.amount_minor, NEW.reason, NEW.created_at)
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a refund');
END;

CREATE TRIGGER refunds_kept BEFORE DELETE ON refunds
BEGIN
    SELECT RAISE(ABORT, 'refunds are kept');
END;

CREATE TRIGGER sandbox_refunds_begin BEFORE INSERT ON sandbox_refunds
WHEN NEW.amount_minor > coalesce((
    SELECT amount_minor - (
        SELECT coalesce(sum(amount_minor), 0) FROM sandbox_refunds WHERE charge_key = NEW.charge_key)
    FROM sandbox_charges WHERE idempotency_key = NEW.charge_key AND status = 'charged'), 0)
BEGIN
    SELECT RAISE(ABORT, 'the refund is larger than what is left of the charge');
END;
