def loses(*a): return False
def lead(*a): return 0.0, 0.0
