-- What is on the shelves, what of it is reserved, and for whom.
--
-- A version counts the changes of its row. A writer who decided on what it had read writes that version plus one;
-- when another was quicker the trigger fails the writer's whole batch, and it reads again.

CREATE TABLE warehouses (
  id TEXT PRIMARY KEY,
  code TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  latitude REAL NOT NULL CHECK (latitude BETWEEN -90 AND 90),
  longitude REAL NOT NULL CHECK (longitude BETWEEN -180 AND 180),
  created_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE stock (
  product_id TEXT NOT NULL,
  warehouse_id TEXT NOT NULL REFERENCES warehouses (id),
  on_hand INTEGER NOT NULL,
  reserved INTEGER NOT NULL DEFAULT 0,
  low_stock_threshold INTEGER NOT NULL CHECK (low_stock_threshold >= 0),
  version INTEGER NOT NULL DEFAULT 1,
  updated_at TEXT NOT NULL,
  PRIMARY KEY (product_id, warehouse_id),
  CONSTRAINT no_overselling CHECK (reserved >= 0 AND on_hand >= 0 AND reserved <= on_hand)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER stock_changes_one_at_a_time BEFORE UPDATE ON stock
WHEN NEW.version <> OLD.version + 1
BEGIN
  SELECT RAISE(ABORT, 'stock was changed by another');
END;

CREATE TABLE reservations (
  order_id TEXT PRIMARY KEY,
  status TEXT NOT NULL CHECK (status IN ('held', 'confirmed', 'released', 'expired')),
  expires_at TEXT,
  version INTEGER NOT NULL DEFAULT 1,
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL,
  CHECK (status <> 'held' OR expires_at IS NOT NULL)
) STRICT, WITHOUT ROWID;

-- The sweep and every look at what is available ask for the holds that have run out.
CREATE INDEX reservations_held ON reservations (expires_at) WHERE status = 'held';

CREATE TRIGGER reservations_change_one_at_a_time BEFORE UPDATE ON reservations
WHEN NEW.version <> OLD.version + 1
BEGIN
  SELECT RAISE(ABORT, 'the reservation was changed by another');
END;

CREATE TRIGGER reservations_change_legally BEFORE UPDATE ON reservations
WHEN NOT (
  OLD.status = 'held' AND NEW.status IN ('confirmed', 'released', 'expired')
  OR OLD.status = 'confirmed' AND NEW.status = 'released'
)
BEGIN
  SELECT RAISE(ABORT, 'illegal change of a reservation');
END;

CREATE TABLE reservation_lines (
  order_id TEXT NOT NULL REFERENCES reservations (order_id),
  product_id TEXT NOT NULL,
  warehouse_id TEXT NOT NULL,
  quantity INTEGER NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (order_id, product_id, warehouse_id),
  FOREIGN KEY (product_id, warehouse_id) REFERENCES stock (product_id, warehouse_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
  position INTEGER PRIMARY KEY,
  event TEXT NOT NULL
) STRICT;
