"""Source text to HIR."""
