"""Any export to examples: formats, columns, conversations."""
