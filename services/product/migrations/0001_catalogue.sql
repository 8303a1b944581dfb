-- The catalogue: categories as a tree, products with both prices in one currency, events waiting to be sent.

CREATE TABLE categories (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL COLLATE NOCASE CHECK (length(name) BETWEEN 1 AND 200),
  parent_id TEXT REFERENCES categories (id) CHECK (parent_id <> id),
  version INTEGER NOT NULL CHECK (version >= 1)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX categories_by_parent ON categories (coalesce(parent_id, ''), name);
CREATE INDEX categories_children ON categories (parent_id);

-- A new category can only hang below one that exists, so a tree whose nodes stay in place has no cycle.
CREATE TRIGGER categories_stay_in_place BEFORE UPDATE OF id, parent_id ON categories
WHEN NEW.id <> OLD.id OR NEW.parent_id IS NOT OLD.parent_id
BEGIN
  SELECT RAISE(ABORT, 'illegal move of a category');
END;

CREATE TABLE products (
  id TEXT PRIMARY KEY,
  sku TEXT NOT NULL UNIQUE CHECK (length(sku) BETWEEN 1 AND 64),
  name TEXT NOT NULL COLLATE NOCASE CHECK (length(name) BETWEEN 1 AND 200),
  description TEXT NOT NULL CHECK (length(description) <= 5000),
  category_id TEXT REFERENCES categories (id),
  sold_retail INTEGER NOT NULL CHECK (sold_retail IN (0, 1)),
  sold_wholesale INTEGER NOT NULL CHECK (sold_wholesale IN (0, 1)),
  currency TEXT NOT NULL CHECK (length(currency) = 3),
  retail_amount_minor INTEGER NOT NULL CHECK (retail_amount_minor BETWEEN 1 AND 9007199254740991),
  wholesale_amount_minor INTEGER NOT NULL CHECK (wholesale_amount_minor BETWEEN 1 AND 9007199254740991),
  version INTEGER NOT NULL CHECK (version >= 1),
  created_at TEXT NOT NULL,
  updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX products_by_name ON products (name, id);
CREATE INDEX products_by_price ON products (retail_amount_minor, id);
CREATE INDEX products_by_category ON products (category_id);

CREATE TABLE outbox (
  position INTEGER PRIMARY KEY,
  event TEXT NOT NULL
) STRICT;
