"""HIR to typed SSA, by forward abstract interpretation."""
