"""What a reader clicks: thin views over logic that lives in lower layers."""
