-- Whose an order is: the account that placed it, and the company that a buyer placed it for. A guest's order has
-- neither, and so have all that were listed before there were accounts.
ALTER TABLE orders ADD COLUMN customer_id TEXT;
ALTER TABLE orders ADD COLUMN company_id TEXT;
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at DESC, id DESC) WHERE customer_id IS NOT NULL;
CREATE INDEX orders_by_company ON orders (company_id, placed_at DESC, id DESC) WHERE company_id IS NOT NULL;
