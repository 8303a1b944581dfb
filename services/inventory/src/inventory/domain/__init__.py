"""What stock and reservations may do; knows of no database and no caller."""
