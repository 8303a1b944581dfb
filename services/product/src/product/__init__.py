"""The product service: what is sold, to whom, and at which price."""
