"""Networks: the composition of encoder, trunks, sharing and heads, and its rivals."""
