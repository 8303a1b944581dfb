"""Payments: charged once, given back exactly, whatever crashes in between."""
