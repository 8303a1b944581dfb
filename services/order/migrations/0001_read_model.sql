-- The list of orders: built from the order.* events, and from nothing else.
CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    status TEXT NOT NULL,
    market TEXT NOT NULL,
    email TEXT NOT NULL,
    total_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    version INTEGER NOT NULL,
    placed_at TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX orders_newest ON orders (placed_at DESC, id DESC);
CREATE INDEX orders_by_status ON orders (status, placed_at DESC, id DESC);
CREATE INDEX orders_by_email ON orders (email, placed_at DESC, id DESC);

CREATE TABLE inbox (
    event_id TEXT PRIMARY KEY,
    received_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Messages that could not be handled, kept until somebody has looked at them.
CREATE TABLE dead_letters (
    position INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    received_at TEXT NOT NULL
) STRICT;
