"""`make soak`: many real runs under random faults, and then a look at every one of them."""
