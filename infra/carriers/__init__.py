"""Carriers: who brings parcels, and what they say about them."""
