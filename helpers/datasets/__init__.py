"""From a messy export to a dataset one would bet on.

For: validating, converting, cleaning, splitting, pricing and versioning datasets. Each
module does one of these and can be used alone. Not for: drawing (see `helpers.plots`).
"""
