-- An order whose hold has run out may hold anew, and when it is given up that is recorded for good, so that what
-- arrives late finds it released.
DROP TRIGGER reservations_change_legally;

CREATE TRIGGER reservations_change_legally BEFORE UPDATE ON reservations
WHEN NOT (
  OLD.status = 'held' AND NEW.status IN ('confirmed', 'released', 'expired')
  OR OLD.status = 'confirmed' AND NEW.status = 'released'
  OR OLD.status = 'expired' AND NEW.status IN ('held', 'released')
)
BEGIN
  SELECT RAISE(ABORT, 'illegal change of a reservation');
END;
