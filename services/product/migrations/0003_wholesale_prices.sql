-- Buyers sort the catalogue by the price that they pay.
CREATE INDEX products_by_wholesale_price ON products (wholesale_amount_minor, id);
